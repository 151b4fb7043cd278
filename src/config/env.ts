/** The environment as configuration is read from it. */

export type Env = Readonly<Record<string, string | undefined>>;
