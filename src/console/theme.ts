/** Light or dark: as the system has it, unless the reader chooses. */
import { store, stored } from './stored.ts';

export type Theme = 'system' | 'light' | 'dark';

const NAME = 'longrun.theme';

export function currentTheme(): Theme {
  return themeOf(stored(NAME, 'machine'));
}

export function themeOf(name: string | null): Theme {
  return name === 'light' || name === 'dark' ? name : 'system';
}

export function chooseTheme(theme: Theme): void {
  store(NAME, theme, 'machine');
  applyTheme();
}

/** Style sheets read the choice from the root element. */
export function applyTheme(): void {
  document.documentElement.dataset['theme'] = currentTheme();
}

/** Whether it is dark now. */
export function isDark(): boolean {
  const theme = currentTheme();
  return theme === 'system' ? matchMedia('(prefers-color-scheme: dark)').matches : theme === 'dark';
}
