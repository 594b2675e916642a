// Colours of the theme, read from the style sheet.

/** Return the colours of the page as it looks now: `colour("ink")`, `classColour(3)`, `rgb("ink")`. */
export function openTheme() {
  const style = () => getComputedStyle(document.documentElement);
  const colour = (name) => style().getPropertyValue(`--${name}`).trim();
  return {
    colour,
    classColour: (index) => colour(`class-${((index % 10) + 10) % 10}`),
    rgb: (name) => rgbOf(colour(name)),
    get dark() {
      const chosen = document.documentElement.dataset.theme;
      return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    },
  };
}

/** Return the three numbers of a colour "#rrggbb". */
export function rgbOf(text) {
  const digits = text.length === 4 ? text.slice(1).replace(/./g, "$&$&") : text.slice(1);
  return [0, 2, 4].map((place) => parseInt(digits.slice(place, place + 2), 16));
}
