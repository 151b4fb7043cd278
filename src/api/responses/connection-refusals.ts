/** What clients of the WebSocket mode are refused with. */
import { ApiError, echo } from '../../errors.ts';

export function upgradeRequired(): ApiError {
  const text =
    'GET /responses opens a WebSocket, and the request does not ask for one. Responses are created by POST, and retrieved one by one by their ids.';
  return new ApiError(426, text, {
    code: 'upgrade_required',
    headers: { upgrade: 'websocket', connection: 'upgrade' },
  });
}

export function unknownType(type: string): ApiError {
  const text = `Unknown message type '${echo(type)}'. This server takes messages of type 'response.create'.`;
  return new ApiError(400, text, { param: 'type', code: 'unknown_event' });
}

export function noBackground(): ApiError {
  const text =
    "'background' is not supported over a WebSocket. Leave it out, or create the response by POST /responses.";
  return new ApiError(400, text, { param: 'background', code: 'unsupported_parameter' });
}

export function tooMany(what: string): ApiError {
  const text = `${what} Wait until one has ended, or open another connection.`;
  return new ApiError(429, text, { code: 'websocket_stream_limit_reached' });
}

export function timeIsUp(): ApiError {
  const text = 'The connection has been open for 60 minutes, the limit of this server. Open another one.';
  return new ApiError(400, text, { code: 'websocket_connection_limit_reached' });
}

export function stopping(): ApiError {
  const text =
    'This server process stops. Open another connection; what is stored of a response can be retrieved there.';
  return new ApiError(503, text, { type: 'server_error', code: 'server_stopping' });
}

export function brokenOff(): ApiError {
  const text =
    'The stream broke off. The response goes on where it is stored; retrieve it to see how it ends.';
  return new ApiError(500, text, { type: 'server_error', code: 'server_error' });
}
