/**
 * Loaded into a process before anything else (`node --import`): shifts its clock by `SKEW_MS`, and SIGUSR2 sets the
 * clock back by an hour. Timers and `performance.now` are not affected, as when an operator or a time server sets a
 * machine's clock.
 */
const HOUR_MS = 3_600_000;

const realNow = Date.now.bind(Date);
let skewMs = Number(process.env['SKEW_MS'] ?? 0);

Date.now = () => realNow() + skewMs;
process.on('SIGUSR2', () => {
  skewMs -= HOUR_MS;
});
