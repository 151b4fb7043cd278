/** What readers write into forms. */

/** The text of a field; empty where there is none. */
export function textIn(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === 'string' ? value : '';
}

/** Takes what was sent by a form, without the browser sending it. */
export function submitted(
  take: (form: FormData, element: HTMLFormElement) => void,
): (event: SubmitEvent) => void {
  return (event) => {
    event.preventDefault();
    if (event.target instanceof HTMLFormElement) take(new FormData(event.target), event.target);
  };
}
