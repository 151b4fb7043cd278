/** The model that the chat clients of this folder meet: it does by the user's last words what each of them wants to see. */
import { calls, refuses, says, text, type Script, type UpstreamRequest } from '../../support/upstream.ts';

const CITIES = ['Taipei', '台南'];
export const WEATHER_TEXT = 'It is sunny in Taipei and sunny in 台南.';

export function answer({ text: said, outputs, body }: UpstreamRequest): Script | undefined {
  if (/^\d{3}$/.test(said)) return refuses(Number(said), `status ${said}`);
  switch (said) {
    case 'weather?':
      return outputs.length > 0
        ? says('It is ', outputs.join(' and '), '.')
        : calls(CITIES.map((city) => ({ name: 'weather', arguments: { city } })));
    case 'json':
      return says('{"city":', '"Taipei","degrees":31}');
    case 'typed':
      // Libraries ask for typed answers by a tool of their own.
      return calls([{ name: toolIn(body.tools), arguments: { city: 'Taipei', degrees: 31 } }]);
    case 'break':
      return [text('Once upon'), { type: 'break' }];
    case 'What do I drink?':
      return says(`${body.messages.length} messages`);
    default:
      return undefined;
  }
}

function toolIn(tools: UpstreamRequest['body']['tools']): string {
  const called: unknown = tools?.[0]?.['function'];
  const name: unknown = typeof called === 'object' && called !== null ? Reflect.get(called, 'name') : '';
  return String(name);
}
