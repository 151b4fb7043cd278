/** A process that writes files into a library one after the other, and says when each is whole, until it is ended. */
import { openLibrary } from '../../src/library/open.ts';
import { chunkOf } from './facts.ts';

const [path = '', storeId = '', count = '0'] = process.argv.slice(2);
const library = await openLibrary(path);
for (let number = 0; number < Number(count); number += 1) {
  const fileId = `${storeId}-${number}`;
  const write = await library.write({ project: 'p', storeId, fileId, attributes: {}, space: null });
  process.stdout.write('begun\n');
  for (let group = 0; group < 4; group += 1)
    await write.add(
      Array.from({ length: 25 }, (_, index) => chunkOf(`word ${fileId} ${group} ${index}`)),
      null,
    );
  await write.commit();
  process.stdout.write('done\n');
}
await library.close();
