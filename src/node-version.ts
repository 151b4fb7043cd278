/**
 * Imported first by every program in src. On a machine whose Node is too old, it prints one sentence in place of the
 * stack of the first failure. A Node older than 22.18 refuses TypeScript before any of our code runs; there the npm
 * scripts find a newer Node.
 */

/** As in setup/node.mjs. */
const NEEDED = 24;

if (Number.parseInt(process.versions.node, 10) < NEEDED) {
  process.stderr.write(
    `Longrun needs Node ${NEEDED}, and this is Node ${process.versions.node}. Run it with npm (\`npm start\`, \`npm run api\`, ` +
      `\`npm run worker\`), which finds or fetches the right one, or install Node ${NEEDED} (https://nodejs.org).\n`,
  );
  process.exit(1);
}
