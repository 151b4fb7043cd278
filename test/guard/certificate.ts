/** A key and a certificate of its own for secure.example, made anew for each run of the tests. */
import { generate } from 'selfsigned';

const { private: key, cert } = await generate([{ name: 'commonName', value: 'secure.example' }], {
  keyType: 'ec',
});

export const KEY = key;
export const CERTIFICATE = cert;
