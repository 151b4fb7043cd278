/** What a run waits for from its client: outputs of functions, pictures, and decisions about calls. */
import { html, nothing, type TemplateResult } from 'lit-html';
import { ref } from 'lit-html/directives/ref.js';
import { decoded } from '../api.ts';
import { submitted, textIn } from '../forms.ts';
import { say } from '../say.ts';
import { jsonText } from '../views.ts';
import type { FunctionCall, Run } from '../wire.ts';
import type { Unfolded } from './parts-view.ts';
import { samplePicture } from './sample-picture.ts';
import { plainName } from '../plain-name.ts';

interface AnswerMeans {
  readonly unfolded: Unfolded;
  readonly isBusy: boolean;
  readonly submit: (outputs: ReadonlyMap<string, string>) => void;
  /** Hears of the form that has come, as a `ref` of it. */
  readonly arrived: (form?: Element) => void;
  /** Tells what is wrong with an output. */
  readonly complain: (problem: string) => void;
}

/** The function by which models look through a device's camera. */
const PHOTO = 'take_a_photo';
/** Of a picture that is sent within an output. */
const MAX_PICTURE_BYTES = 4_000_000;

export function answerForm(run: Run, means: AnswerMeans): TemplateResult | typeof nothing {
  const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
  if (run.status !== 'requires_action' || calls.length === 0) return nothing;
  const [first] = calls;
  if (calls.length === 1 && first?.requires_approval === true) return decisionView(first, means);
  const send = submitted((form, element) => {
    const broken = brokenJson(element);
    if (broken !== null) return means.complain(broken);
    void outputsIn(form, calls).then(means.submit, (error: unknown) => means.complain(wordsOf(error)));
  });
  return html`<form
    ${ref(means.arrived)}
    class="card answers"
    aria-label=${say('Outputs', '函数输出')}
    @submit=${send}
  >
    <h2 tabindex="-1">${say('The run waits for you', '运行正在等待你')}</h2>
    ${calls.map((call) => fieldFor(call, means))}
    <button class="primary" ?disabled=${means.isBusy}>${say('Send outputs', '提交输出')}</button>
  </form>`;
}

/** The only call that waits, and it is for a decision: two buttons. */
function decisionView(call: FunctionCall, means: AnswerMeans): TemplateResult {
  const decide = (isYes: boolean, reason = ''): void =>
    means.submit(new Map([[call.id, decision(isYes, reason)]]));
  const refuse = submitted((form) => decide(false, textIn(form, 'reason')));
  return html`<form
    ${ref(means.arrived)}
    class="card answers"
    aria-label=${say('Approval', '审批')}
    @submit=${refuse}
  >
    <h2 tabindex="-1">${question(call)}</h2>
    ${argumentsOf(call, means)}
    <label
      >${say('Reason, if you refuse', '拒绝的理由（可选）')}<input name="reason" autocomplete="off"
    /></label>
    <div class="buttons">
      <button type="button" class="primary" ?disabled=${means.isBusy} @click=${() => decide(true)}>
        ${say('Approve', '批准')}
      </button>
      <button class="danger" ?disabled=${means.isBusy}>${say('Refuse', '拒绝')}</button>
    </div>
  </form>`;
}

function question({ function: { name } }: FunctionCall): string {
  return say(`May ${plainName(name)} be called?`, `允许调用 ${plainName(name)} 吗？`);
}

function argumentsOf(
  { id, function: { name, arguments: args } }: FunctionCall,
  { unfolded }: AnswerMeans,
): TemplateResult {
  return unfolded.text(
    jsonText(args),
    say(`Arguments of ${plainName(name)}`, `${plainName(name)} 的参数`),
    `${id}-asked`,
  );
}

function fieldFor(call: FunctionCall, means: AnswerMeans): TemplateResult {
  const { name } = call.function;
  if (call.requires_approval === true)
    return html`<fieldset>
      <legend>${question(call)}</legend>
      ${argumentsOf(call, means)}
      <label class="check"
        ><input type="radio" name=${call.id} value="yes" required />${say('Approve', '批准')}</label
      >
      <label class="check"><input type="radio" name=${call.id} value="no" />${say('Refuse', '拒绝')}</label>
    </fieldset>`;
  if (name === PHOTO)
    return html`<fieldset>
      <legend>${PHOTO}</legend>
      <label
        >${say('A picture', '图片')}<input type="file" name=${call.id} accept="image/*" />
        <span class="hint"
          >${say('Without one, a drawing of ours is sent.', '不选择则发送一张示例图。')}</span
        ></label
      >
    </fieldset>`;
  return html`<fieldset>
    <legend>${plainName(name)}</legend>
    ${argumentsOf(call, means)}
    <label
      >${say(`Output of ${plainName(name)}`, `${plainName(name)} 的输出`)}
      <textarea
        class="code"
        name=${call.id}
        data-function=${name}
        rows="6"
        spellcheck="false"
        .value=${proposal(call)}
        @focus=${selectOnce}
      ></textarea>
      <span class="hint"
        >${say('JSON or text: what your program would answer.', 'JSON 或文本：你的程序会返回的内容。')}</span
      >
    </label>
  </fieldset>`;
}

/** What is proposed is replaced by what the reader writes; from the second look on, the reader works at it. */
function selectOnce({ target }: FocusEvent): void {
  if (!(target instanceof HTMLTextAreaElement) || target.dataset['seen'] !== undefined) return;
  target.dataset['seen'] = '';
  target.select();
  // A click sets the caret after the focus has come.
  setTimeout(() => target.select());
}

/** Says of the first output that seems to be JSON and is none, once for each text; null where all are well. */
function brokenJson(form: HTMLFormElement): string | null {
  for (const field of form.querySelectorAll<HTMLTextAreaElement>('textarea[data-function]')) {
    const { value, dataset } = field;
    if (!/^\s*[[{]/.test(value) || dataset['warned'] === value) continue;
    try {
      JSON.parse(value);
    } catch (error) {
      dataset['warned'] = value;
      field.focus();
      const name = plainName(dataset['function'] ?? '');
      return say(
        `The output of ${name} is no whole JSON: ${wordsOf(error)}. Put it right, or send it once more as text.`,
        `${name} 的输出不是完整的 JSON：${wordsOf(error)}。请修正，或再次提交以文本发送。`,
      );
    }
  }
  return null;
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** An output to begin with: the arguments again, with something that could be an answer. */
function proposal({ function: { name, arguments: args } }: FunctionCall): string {
  const answer = /weather|forecast/i.test(name)
    ? { temperature_c: 21, sky: say('sunny', '晴') }
    : { result: say('done', '已完成') };
  let given: unknown;
  try {
    given = decoded<unknown>(args);
  } catch {
    given = null;
  }
  const asked = typeof given === 'object' && given !== null && args.length < 1_000 ? given : {};
  return jsonText({ ...asked, ...answer });
}

async function outputsIn(
  form: FormData,
  calls: readonly FunctionCall[],
): Promise<ReadonlyMap<string, string>> {
  const outputs = new Map<string, string>();
  for (const call of calls) {
    const value = form.get(call.id);
    if (call.requires_approval === true) outputs.set(call.id, decision(value === 'yes'));
    else outputs.set(call.id, value instanceof File ? await pictureOutput(value) : textIn(form, call.id));
  }
  return outputs;
}

function decision(isYes: boolean, reason = ''): string {
  return JSON.stringify(isYes || reason === '' ? { approve: isYes } : { approve: false, reason });
}

/** A picture as devices send it. @throws {Error} for one that is too large */
async function pictureOutput(file: File): Promise<string> {
  if (file.size > MAX_PICTURE_BYTES)
    throw new Error(
      say('The picture has more than 4 MB. Choose a smaller one.', '图片超过 4 MB，请选择更小的图片。'),
    );
  return JSON.stringify({ image_url: await dataUrl(file.size === 0 ? await samplePicture() : file) });
}

async function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(typeof reader.result === 'string' ? reader.result : ''));
    reader.addEventListener('error', () =>
      reject(new Error(say('The picture cannot be read.', '无法读取图片。'))),
    );
    reader.readAsDataURL(blob);
  });
}
