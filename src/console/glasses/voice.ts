/** Reads answers aloud, where the browser can. */

/** Whether the browser can speak. */
export function canSpeak(): boolean {
  return 'speechSynthesis' in globalThis;
}

export function speak(text: string): void {
  hush();
  if (!canSpeak() || text.trim() === '') return;
  const said = new SpeechSynthesisUtterance(text);
  said.lang = /\p{Script=Han}/u.test(text) ? 'zh-CN' : 'en';
  speechSynthesis.speak(said);
}

export function hush(): void {
  if (canSpeak()) speechSynthesis.cancel();
}
