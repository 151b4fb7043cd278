/** Room for what is large: given in order, taken back whole, and never promised twice. */
import { describe, expect, test } from 'vitest';
import { Room, type RoomShare } from '../../src/worker/room.ts';

const never = new AbortController().signal;

/** Says in which order takers got in, by their names. */
function takers(room: Room) {
  const inside: string[] = [];
  const take = async (name: string, bytes: number, signal = never): Promise<RoomShare> => {
    const share = await room.take(bytes, signal);
    inside.push(name);
    return share;
  };
  return { inside, take };
}

describe('room', () => {
  test('is given to whoever came first, also when somebody later wants less', async () => {
    const { inside, take } = takers(new Room(100));
    const a = await take('a', 60);
    const later = [take('b', 60), take('c', 10)];
    await Promise.resolve();
    expect(inside).toStrictEqual(['a']);
    a.close();
    await Promise.all(later);
    expect(inside).toStrictEqual(['a', 'b', 'c']);
  });

  test('that turned out not to be needed is given on', async () => {
    const { inside, take } = takers(new Room(100));
    const a = await take('a', 100);
    const b = take('b', 90);
    a.shrink(10);
    await b;
    expect(inside).toStrictEqual(['a', 'b']);
  });

  test('that is not needed any more after a while is given on, unless it was closed before', async () => {
    const { inside, take } = takers(new Room(100));
    const a = await take('a', 100);
    a.shrinkAfter(0, 25);
    const b = await take('b', 75);
    expect(inside).toStrictEqual(['a', 'b']);
    const late = b.shrinkAfter(0, 10);
    clearTimeout(late);
    b.close();
    await take('c', 75);
    expect(inside).toStrictEqual(['a', 'b', 'c']);
  });

  test('closed twice is given back once', async () => {
    const room = new Room(100);
    const { inside, take } = takers(room);
    const a = await take('a', 60);
    a.close();
    a.close();
    await take('b', 100);
    const leaving = new AbortController();
    const c = take('c', 1, leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(c).rejects.toThrow('gone');
    expect(inside).toStrictEqual(['a', 'b']);
  });

  test('is all of it for whoever wants more', async () => {
    const { inside, take } = takers(new Room(100));
    const a = await take('a', 1_000);
    const b = take('b', 1);
    await Promise.resolve();
    expect(inside).toStrictEqual(['a']);
    a.close();
    await b;
    expect(inside).toStrictEqual(['a', 'b']);
  });

  test('is not waited for by those who leave, nor behind them', async () => {
    const { inside, take } = takers(new Room(100));
    await take('a', 50);
    const leaving = new AbortController();
    const b = take('b', 100, leaving.signal);
    const c = take('c', 50);
    leaving.abort(new Error('gone'));
    await expect(b).rejects.toThrow('gone');
    await c;
    expect(inside).toStrictEqual(['a', 'c']);
  });
});
