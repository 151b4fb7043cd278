import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPublic } from '../../src/guard/address.ts';

/** All that is not public in IPv4, by IANA's registry: first address, bits. Written down again, on purpose. */
const NOT_PUBLIC_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];
/** The same within 2000::/3; beyond it nothing is public. As 32 hexadecimal digits, of which the first ones count. */
const NOT_PUBLIC_V6 = [
  { first: '20010000', bits: 23 },
  { first: '20010db8', bits: 32 },
  { first: '2002', bits: 16 },
  { first: '2620004f8000', bits: 48 },
  { first: '3fff0', bits: 20 },
];

const number = (text: string): number => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
const dotted = (value: number): string => [24, 16, 8, 0].map((bits) => (value >>> bits) & 255).join('.');
const binary = (hex: string): string => hex.replaceAll(/./g, bitsOf);
const bitsOf = (digit: string): string => Number.parseInt(digit, 16).toString(2).padStart(4, '0');
const colons = (hex: string): string => hex.match(/.{4}/g)?.join(':') ?? '';

function isPublicV4(value: number): boolean {
  return !NOT_PUBLIC_V4.some(([first, bits]) => {
    const size = 2 ** (32 - bits);
    return Math.floor(value / size) === Math.floor(number(first) / size);
  });
}

function isPublicV6(hex: string): boolean {
  const isNamed = NOT_PUBLIC_V6.some(({ first, bits }) =>
    binary(hex).startsWith(binary(first).slice(0, bits)),
  );
  return binary(hex).startsWith('001') && !isNamed;
}

/** Anywhere, and on both sides of every border. */
const v4 = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc
    .tuple(fc.constantFrom(...NOT_PUBLIC_V4), fc.integer({ min: -2, max: 2 }), fc.boolean())
    .map(([[first, bits], step, isEnd]) => number(first) + (isEnd ? 2 ** (32 - bits) : 0) + step)
    .map((value) => ((value % 2 ** 32) + 2 ** 32) % 2 ** 32),
);
const digits = fc.string({
  unit: fc.constantFrom(...'0123456789abcdef'.split('')),
  minLength: 32,
  maxLength: 32,
});
const v6 = fc.oneof(
  digits,
  fc
    .tuple(
      fc.constantFrom(...NOT_PUBLIC_V6.map(({ first }) => first), '2', '3', '2001', '3fff', '26200'),
      digits,
    )
    .map(([first, rest]) => (first + rest).slice(0, 32)),
);

describe('public addresses', () => {
  test('of IPv4 are those that the table does not name', () => {
    fc.assert(
      fc.property(v4, (value) => {
        expect(isPublic(dotted(value)), dotted(value)).toBe(isPublicV4(value));
      }),
      { numRuns: 5_000 },
    );
  });

  test('of IPv4 are decided alike when they are mapped into IPv6', () => {
    fc.assert(
      fc.property(v4, (value) => {
        expect(isPublic(`::ffff:${dotted(value)}`), dotted(value)).toBe(isPublicV4(value));
      }),
    );
  });

  test('of IPv6 are those in 2000::/3 that the table does not name', () => {
    fc.assert(
      fc.property(v6, (hex) => {
        expect(isPublic(colons(hex)), colons(hex)).toBe(isPublicV6(hex));
      }),
      { numRuns: 5_000 },
    );
  });

  test.each(['1.1.1.1', '8.8.8.8', '93.184.216.34', '2606:4700::1111', '2a00:1450:4001::200e'])(
    'include %s',
    (address) => expect(isPublic(address)).toBe(true),
  );

  test.each([
    '::',
    '::1',
    '::127.0.0.1',
    '::8.8.8.8',
    '::ffff:0:8.8.8.8',
    '64:ff9b::8.8.8.8',
    '64:ff9b:1::8.8.8.8',
    '100::1',
    '2001:0:53aa:64c:0:fbff:a5b9:ffff',
    '2002:808:808::1',
    '2001:db8::1',
    '2001:20::1',
    '3fff::1',
    '5f00::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '',
    'localhost',
    '127.1',
    '0x8.8.8.8',
    '010.8.8.8',
    '134744072',
    '8.8.8.8/8',
    '8.8.8.8 ',
  ])('do not include "%s"', (address) => expect(isPublic(address)).toBe(false));
});
