// Lists and figures as elements.

/** An element of the page that is there. */
export const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

/** Terms with what stands to them. */
export function terms(list: HTMLElement, known: [string, string][]): void {
  list.replaceChildren(
    ...known.map(([name, value]) => {
      const box = document.createElement("div");
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = name;
      text.textContent = value;
      box.append(term, text);
      return box;
    }),
  );
}

/** Lines, some of which are marked. */
export function lines(list: HTMLElement, all: { text: string; mark?: string }[]): void {
  list.replaceChildren(
    ...all.map(({ text, mark }) => {
      const item = document.createElement("li");
      item.textContent = text;
      if (mark) item.classList.add(mark);
      return item;
    }),
  );
}

/** Something that can be chosen. */
export interface Choice {
  title: string;
  about: string;
  pressed: boolean;
  choose: () => void;
}

/** Buttons, one of which is pressed. A list that does not change keeps its buttons, and with them the focus. */
export function choices(list: HTMLElement, all: Choice[]): void {
  const shown = JSON.stringify(all);
  if (list.dataset["shown"] === shown) return;
  list.dataset["shown"] = shown;
  list.replaceChildren(
    ...all.map(({ title, about, pressed, choose }) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      const small = document.createElement("small");
      small.textContent = about;
      button.append(title, small);
      button.setAttribute("aria-pressed", String(pressed));
      button.addEventListener("click", choose);
      item.append(button);
      return item;
    }),
  );
}

export const clock = (time: Date): string => time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
