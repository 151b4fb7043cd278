/** The secrets of requests, as workers open them. */
import { ModelError } from '../runs/model.ts';
import { Seal, type Secrets } from '../seal.ts';

/**
 * Opens the secrets of a request. A worker that cannot open them must not go on: it would use the operator's own key
 * for a caller's request.
 */
export function unsealer(secret: string | undefined): (sealed: string) => Secrets {
  const seal = secret === undefined ? null : new Seal(secret);
  return (sealed) => {
    try {
      if (seal !== null) return seal.open(sealed);
    } catch {
      // Sealed under another secret; the error is thrown below.
    }
    const text =
      "This worker cannot open the secrets of the request: its SECRET is missing, or not the API's.";
    throw new ModelError('server_error', text);
  };
}
