/** Why a port cannot be listened on, in words for the person who chose it. */
import { CannotStart } from './cannot-start.ts';

/** @param command the command that starts the process, for an example with another port. */
export function cannotListen(error: unknown, port: number, host: string, command: string): CannotStart {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  const sentences: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${port} is taken by another program. Choose another one: PORT=${port + 1} ${command}`,
    EACCES: `Port ${port} is reserved for the system. Choose one above 1023: PORT=8080 ${command}`,
    EADDRNOTAVAIL: `HOST is ${host}, which is no address of this machine. Use 127.0.0.1 or 0.0.0.0.`,
  };
  const text = sentences[String(code)] ?? `Port ${port} cannot be used: ${String(error)}`;
  return new CannotStart(text, { cause: error });
}
