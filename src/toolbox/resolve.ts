/**
 * Lets a tool's file lie anywhere: packages that it imports and its own folder lacks (`zod`, `longrun/tool`) are
 * resolved from Longrun's folder.
 */
import { registerHooks } from 'node:module';

/** Resolves from here the bare names that a file outside the repository cannot find. */
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
