// Fragments: parts of pages, as nodes.

/** The elements at an address; null where there is no answer, which the next attempt will mend. */
export async function fragment(address) {
  try {
    const response = await fetch(address, { headers: { accept: "text/html" }, cache: "no-store" });
    if (!response.ok) return null;
    const template = document.createElement("template");
    template.innerHTML = await response.text();
    return Array.from(template.content.children);
  } catch (error) {
    return null;
  }
}
