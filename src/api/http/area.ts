/** Which part of the API answered a request: what requests are measured by. */
import type { Response } from 'express';
import type { Endpoint } from './endpoint.ts';

/** By the folders of protocols; `device` is a path of DEVICE_PATHS, and `none` a request that reached no endpoint. */
export type Area =
  | 'assistants'
  | 'chat'
  | 'responses'
  | 'agents'
  | 'files'
  | 'stores'
  | 'models'
  | 'plugins'
  | 'usage'
  | 'admin'
  | 'forward'
  | 'device'
  | 'ops'
  | 'console'
  | 'none';

const areas = new WeakMap<Response, Area>();

export function noteArea(response: Response, area: Area): void {
  areas.set(response, area);
}

export function areaOf(response: Response): Area {
  return areas.get(response) ?? 'none';
}

/** The endpoints as those of a part of the API. */
export function inArea(area: Area, endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return endpoints.map((endpoint) => ({ ...endpoint, area }));
}
