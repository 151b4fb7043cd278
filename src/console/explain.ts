/** Why a run did not succeed, for every page that shows runs. */
export { explain } from './runs/explain.ts';
