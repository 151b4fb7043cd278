/** The language of the console. Both versions of a sentence stand side by side, where it is said. */
import { store, stored } from './stored.ts';

export type Language = 'en' | 'zh';

const NAME = 'longrun.language';
let language: Language = kept() ?? (navigator.language.startsWith('zh') ? 'zh' : 'en');
document.documentElement.lang = tag();

/** A sentence in the language of the reader. */
export function say(english: string, chinese: string): string {
  return language === 'zh' ? chinese : english;
}

export function currentLanguage(): Language {
  return language;
}

/** The language as `Intl` and HTML name it. */
export function tag(): string {
  return language === 'zh' ? 'zh-CN' : 'en';
}

/** Takes effect with the next drawing of the page. */
export function chooseLanguage(chosen: Language): void {
  language = chosen;
  store(NAME, chosen, 'machine');
  document.documentElement.lang = tag();
}

function kept(): Language | null {
  const value = stored(NAME, 'machine');
  return value === 'en' || value === 'zh' ? value : null;
}
