import { describe, expect, test } from 'vitest';
import { isAllowed, parseAllow } from '../../src/guard/allow.ts';

/** entry; host, port, address; whether it is meant. */
const CASES: readonly (readonly [string, string, number, string, boolean])[] = [
  ['localhost', 'localhost', 1234, '127.0.0.1', true],
  ['localhost', 'localhost.', 80, '127.0.0.1', true],
  ['LocalHost', 'localhost', 80, '::1', true],
  ['localhost', 'a.localhost', 80, '127.0.0.1', false],
  ['localhost', '127.0.0.1', 80, '127.0.0.1', false],
  ['localhost:8080', 'localhost', 8080, '127.0.0.1', true],
  ['localhost:8080', 'localhost', 8081, '127.0.0.1', false],
  ['my_redis', 'my_redis', 6379, '172.18.0.2', true],
  ['bücher.example', 'xn--bcher-kva.example', 80, '10.0.0.1', true],
  ['*.example.com', 'a.example.com', 22, '10.0.0.1', true],
  ['*.example.com', 'a.b.example.com.', 22, '10.0.0.1', true],
  ['*.example.com', 'example.com', 80, '10.0.0.1', false],
  ['*.example.com', 'badexample.com', 80, '10.0.0.1', false],
  ['*.example.com', 'example.com.evil.example', 80, '10.0.0.1', false],
  ['*.example.com:8443', 'a.example.com', 8443, '10.0.0.1', true],
  ['*.example.com:8443', 'a.example.com', 443, '10.0.0.1', false],
  ['10.0.0.5', '10.0.0.5', 9, '10.0.0.5', true],
  ['10.0.0.5', 'name.example', 9, '10.0.0.5', true],
  ['10.0.0.5', '10.0.0.5', 9, '10.0.0.6', false],
  ['10.0.0.5', '::ffff:a00:5', 80, '::ffff:a00:5', true],
  ['10.0.0.5:80', '10.0.0.5', 80, '10.0.0.5', true],
  ['10.0.0.5:80', '10.0.0.5', 81, '10.0.0.5', false],
  ['10.1.0.0/16', '10.1.255.255', 1, '10.1.255.255', true],
  ['10.1.0.0/16', '10.2.0.0', 1, '10.2.0.0', false],
  ['10.1.0.0/16', '::1', 1, '::1', false],
  ['0.0.0.0/0', '::1', 80, '::1', false],
  ['::1', '::1', 1, '::1', true],
  ['[::1]', '::1', 1, '::1', true],
  ['[::1]:8080', '::1', 8080, '::1', true],
  ['[::1]:8080', '::1', 80, '::1', false],
  ['fd00::/8', 'fd12::1', 80, 'fd12::1', true],
  ['fd00::/8', 'fe80::1', 80, 'fe80::1', false],
];

describe('what an operator allows', () => {
  test.each(CASES)('%s and a connection to %s, port %i, at %s: %s', (entry, host, port, address, isMeant) => {
    expect(isAllowed([parseAllow(entry)], { host, port, address })).toBe(isMeant);
  });

  test('is what any of the entries says, and nothing when there is none', () => {
    const destination = { host: 'b.example', port: 80, address: '10.0.0.1' };
    expect(isAllowed([parseAllow('a.example'), parseAllow('b.example')], destination)).toBe(true);
    expect(isAllowed([], destination)).toBe(false);
  });

  test.each([
    '',
    ' ',
    '*',
    '*.',
    '*:80',
    'a.*.example',
    '*example.com',
    'a b',
    'a..b',
    '-a.example',
    'localhost:',
    'localhost:0',
    'localhost:65536',
    'localhost:http',
    'localhost/8',
    'user@localhost',
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '1.2.3.4.5',
    '256.0.0.1',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8:80',
    'fd00::/129',
    '[fd00::/8]',
    '[127.0.0.1]',
    '[::1',
    '[localhost]:80',
    '::1]:80',
  ])('is never "%s"', (entry) => {
    expect(() => parseAllow(entry)).toThrow(`'${entry}' is not a host. Write a name`);
  });

  test('is not a URL, and the message says so', () => {
    expect(() => parseAllow('http://localhost:8080/')).toThrow(
      "'http://localhost:8080/' is a URL, not a host. Write",
    );
  });
});
