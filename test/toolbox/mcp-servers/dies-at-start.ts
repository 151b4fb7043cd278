/** Says why, and is gone. */
process.stderr.write('no licence\n', () => process.exit(3));
