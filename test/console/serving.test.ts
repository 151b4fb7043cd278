/** How the console is served: to browsers, whole, small, and under a policy that lets nothing foreign run. */
import { describe, expect, test } from 'vitest';
import { withService } from '../support/with-service.ts';

const { service } = withService();

const asBrowser = { accept: 'text/html,application/xhtml+xml', 'accept-encoding': 'br' };

async function firstLoad(): Promise<{
  readonly page: Response;
  readonly text: string;
  readonly paths: string[];
}> {
  const page = await fetch(`${service.url}/console`, { headers: asBrowser });
  const text = await page.text();
  const paths = [...text.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path = '']) => path);
  return { page, text, paths: [...new Set(paths)] };
}

describe('the console', () => {
  test('is what browsers find at / and at every address below /console', async () => {
    const { text } = await firstLoad();
    for (const path of ['/', '/console/runs', '/console/threads/thread_1']) {
      const answer = await fetch(service.url + path, { headers: asBrowser });
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      expect(await answer.text()).toBe(text);
    }
  });

  test('leaves / as it is to programs, and tells caches that there are two', async () => {
    const answer = await fetch(service.url);
    expect(await answer.json()).toMatchObject({ name: 'longrun' });
    expect(answer.headers.get('vary')).toBe('accept');
    const page = await fetch(service.url, { headers: asBrowser });
    expect(page.headers.get('vary')).toBe('accept, accept-encoding');
  });

  test.each([
    ['gzip, deflate, br, zstd', 'br'],
    ['br;q=0, gzip', 'gzip'],
    ['br;q=0, gzip;q=0', null],
    ['*', 'br'],
    ['identity', null],
  ])('is compressed as the client takes it: %s', async (accepted, encoding) => {
    const answer = await fetch(`${service.url}/console`, { headers: { 'accept-encoding': accepted } });
    expect(answer.headers.get('content-encoding')).toBe(encoding);
    expect(await answer.text()).toContain('<!doctype html>');
  });

  test('runs only scripts of this server, and needs no style or script in line', async () => {
    const { page, text } = await firstLoad();
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(policy).toMatch(/script-src 'self' 'sha256-[A-Za-z0-9+/=]+'/);
    expect(text).not.toMatch(/\son\w+=|<style/);
  });

  test('is loaded with at most 300 KB, and then never again', async () => {
    const { page, paths } = await firstLoad();
    let bytes = Number(page.headers.get('content-length'));
    expect(paths.length).toBeGreaterThan(10);
    for (const path of paths) {
      const answer = await fetch(service.url + path, { headers: asBrowser });
      expect([path, answer.status, answer.headers.get('content-encoding')]).toEqual([path, 200, 'br']);
      expect(answer.headers.get('cache-control')).toContain('immutable');
      bytes += Number(answer.headers.get('content-length'));
      await answer.arrayBuffer();
    }
    expect(bytes).toBeLessThan(300_000);
  });

  test('is not there where the operator does not want it', async () => {
    const origin = await service.startApi(undefined, { CONSOLE: 'false' });
    expect((await fetch(`${origin}/console`)).status).toBe(404);
    expect(await (await fetch(origin, { headers: asBrowser })).json()).toMatchObject({ name: 'longrun' });
  });
});
