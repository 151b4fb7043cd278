/**
 * Lets a tool's file lie anywhere: what it imports and its own folder does not have (`zod`, `longrun/tool`) is looked up
 * here, where Longrun lies.
 */
import { registerHooks } from 'node:module';

/** Bare names that a file outside of the repository cannot find are looked up from here. */
export function resolveFromHere(): void {
  registerHooks({
    resolve: (specifier, context, next) => {
      try {
        return next(specifier, context);
      } catch (error) {
        if (!isMissing(error) || /^(\.|\/|[a-z]+:)/.test(specifier)) throw error;
        return next(specifier, { ...context, parentURL: import.meta.url });
      }
    },
  });
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
}
