/** Programs that the demo model writes for code_interpreter: short ones, made of the numbers in the question. Pure. */

const COMPUTE =
  /\b(?:calculate|comput(?:e|ation)|how much is|sum|average|mean|add up|multiply|divided? by|square root)\b|\d\s*[+*×÷^]\s*\(*\d|\d\s+[-/]\s+\(*\d|计算|計算|算一|等于|等於|平均|总和|總和|加起来|加起來|平方根/i;
const CHART =
  /\b(?:chart|plot|graph|histogram|diagram|curve)\b|图表|圖表|曲线|曲線|折线|折線|柱状|柱狀|画图|畫圖/i;
/** Numbers with operators between them; letters and names cannot be part of it. */
const EXPRESSION = /\(*\s*-?\d+(?:\.\d+)?\s*\)*(?:\s*(?:\*\*|[-+*/^×÷])\s*\(*\s*-?\d+(?:\.\d+)?\s*\)*){1,20}/;
const NUMBER = /-?\d+(?:\.\d+)?/g;
const MAX_NUMBERS = 20;

/** Whether the question is one for a program. */
export function wantsCode(question: string): boolean {
  return COMPUTE.test(question) || CHART.test(question);
}

/** A program that answers the question, or at least shows that programs run. */
export function demoCode(question: string): string {
  const numbers = (question.match(NUMBER) ?? []).slice(0, MAX_NUMBERS);
  if (CHART.test(question)) return chartOf(numbers);
  const expression = expressionIn(question);
  if (expression !== null) return `print(${expression})`;
  const [first] = numbers;
  if (first === undefined) return 'print(sum(range(1, 101)))';
  if (/square root|平方根/i.test(question)) return `print(abs(${first}) ** 0.5)`;
  const list = `numbers = [${numbers.join(', ')}]`;
  return `${list}\nprint("sum:", sum(numbers), "mean:", sum(numbers) / len(numbers))`;
}

/** The calculation in a question as Python writes it; null where there is none that is whole. */
function expressionIn(question: string): string | null {
  const found = EXPRESSION.exec(question)?.[0].trim() ?? '';
  const count = (sign: string): number => found.split(sign).length;
  if (found === '' || count('(') !== count(')')) return null;
  return found.replaceAll('^', '**').replaceAll('×', '*').replaceAll('÷', '/');
}

function chartOf(numbers: readonly string[]): string {
  const drawing =
    numbers.length > 1
      ? [`numbers = [${numbers.join(', ')}]`, 'plt.bar(range(1, len(numbers) + 1), numbers)']
      : ['import numpy as np', 'x = np.linspace(0, 2 * np.pi, 200)', 'plt.plot(x, np.sin(x))'];
  return ['import matplotlib.pyplot as plt', ...drawing, 'plt.show()'].join('\n');
}
