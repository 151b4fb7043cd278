/** What a run did besides speaking: calls of tools as they happen, and what the model thought. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { say } from '../say.ts';
import { jsonText } from '../views.ts';
import type { Turn } from './record.ts';
import type { CodeCall, FunctionCall, SearchCall, Step, StepCall } from '../wire.ts';
import type { Unfolded } from './parts-view.ts';
import { plainName } from '../plain-name.ts';
import type { StoredFiles } from '../stored-files.ts';

interface CallMeans {
  readonly turn: Turn;
  /** Pictures that are seen in messages. */
  readonly shown: ReadonlySet<string>;
  readonly files: StoredFiles;
  readonly unfolded: Unfolded;
}

/** Folded, because a reader wants the answer first. */
export function thoughtsView(text: string): TemplateResult {
  return html`<details class="thoughts">
    <summary>${say('Thoughts', '思考过程')}</summary>
    <p class="said">${text}</p>
  </details>`;
}

export function callsView(step: Step, means: CallMeans): TemplateResult | typeof nothing {
  const { step_details: details } = step;
  if (details.type !== 'tool_calls') return nothing;
  return html`${details.tool_calls.map((call) => callView(call, step, means))}`;
}

function callView(call: StepCall, step: Step, means: CallMeans): TemplateResult {
  switch (call.type) {
    case 'function':
      return functionView(call, step, means);
    case 'code_interpreter':
      return codeCallView(call, step, means);
    case 'file_search':
      return searchView(call, step, means);
  }
}

function frame(name: string, state: string, isOpen: boolean, content: TemplateResult): TemplateResult {
  return html`<details class="call" ?open=${isOpen}>
    <summary><code>${plainName(name)}</code> <span class="quiet">${state}</span></summary>
    ${content}
  </details>`;
}

/** How a call stands, from its step where it has no answer of its own. */
function stateOf({ status }: Step, { turn: { run } }: CallMeans, isAnswered: boolean): string {
  if (isAnswered || status === 'completed') return say('answered', '已返回');
  if (run.status === 'requires_action') return say('waits for you', '等待你处理');
  if (status === 'in_progress') return say('is being made …', '调用中……');
  return say('not made', '未执行');
}

/** What was decided on a call that needed an approval. Those that were approved and made are told by the call itself. */
function decisionWords(decision: string): string {
  return /"approve":\s*true/.test(decision) ? say('approved', '已批准') : say('refused', '已拒绝');
}

function functionView(call: FunctionCall, step: Step, means: CallMeans): TemplateResult {
  const { unfolded } = means;
  const { name, arguments: args, output } = call.function;
  const isAnswered = output != null;
  return frame(
    name,
    call.requires_approval === true && isAnswered ? decisionWords(output) : stateOf(step, means, isAnswered),
    false,
    html`<p class="part">${say('Arguments', '参数')}</p>
      ${unfolded.text(jsonText(args), say(`Arguments of ${plainName(name)}`, `${plainName(name)} 的参数`), `${call.id}-in`)}
      ${
        isAnswered
          ? html`<p class="part">${say('Output', '输出')}</p>
              ${unfolded.text(jsonText(output), say(`Output of ${plainName(name)}`, `${plainName(name)} 的输出`), `${call.id}-out`)}`
          : nothing
      }`,
  );
}

function codeCallView(
  { id, code_interpreter: code }: CodeCall,
  step: Step,
  means: CallMeans,
): TemplateResult {
  const { files, unfolded } = means;
  const pictures = code.outputs
    .filter((output) => output.type === 'image')
    .filter(({ image }) => !means.shown.has(image.file_id));
  const content = html`<p class="part">Python</p>
    ${unfolded.text(code.input, 'Python', `${id}-code`)}
    ${code.outputs.map((output, index) =>
      output.type === 'logs'
        ? html`<p class="part">${say('Printed', '打印输出')}</p>
            ${unfolded.text(output.logs, say('Printed', '打印输出'), `${id}-${index}`)}`
        : nothing,
    )}`;
  const isRunning = step.status === 'in_progress' && code.outputs.length === 0;
  // A chart is an answer; it is seen without unfolding anything.
  return html`${frame('code_interpreter', stateOf(step, means, false), false, content)}
  ${isRunning ? html`<p class="quiet takes-long">${say('The first time, packages of Python are fetched: that takes a minute or two.', '首次使用需要下载 Python 软件包，大约一两分钟。')}</p>` : nothing}
  ${pictures.map(({ image }) => files.pictures.view(image.file_id, say('Chart', '图表')))}`;
}

function searchView({ id, file_search: search }: SearchCall, step: Step, means: CallMeans): TemplateResult {
  const results = search.results ?? [];
  const content = html`${
      results.length === 0
        ? html`<p class="quiet">${say('Nothing found so far.', '暂无结果。')}</p>`
        : nothing
    }
    <ol>
      ${results.map(({ file_name: name, score, content: found }, index) => {
        const text = found?.map((part) => part.text).join('\n') ?? '';
        return html`<li>
          <bdi>${plainName(name)}</bdi> <span class="quiet">${score.toFixed(2)}</span>
          ${text === '' ? nothing : means.unfolded.text(text, plainName(name), `${id}-${index}`)}
        </li>`;
      })}
    </ol>`;
  const found = say(`${results.length} found`, `找到 ${results.length} 条`);
  return frame('file_search', results.length > 0 ? found : stateOf(step, means, false), false, content);
}
