/** The environment, as the configuration reads it. */

export type Env = Readonly<Record<string, string | undefined>>;
