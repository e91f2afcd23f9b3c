/**
 * `<tab-set label="Market"><section data-tab="Order book">…</section>…</tab-set>`: sections one below the
 * other without scripts, tabs with them. Arrows move between tabs; a link to a section's id opens it.
 */
let count = 0;

class TabSet extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.sections = [...this.querySelectorAll(":scope > [data-tab]")];
    this.list = Object.assign(document.createElement("div"), { className: "tabs" });
    this.list.role = "tablist";
    this.list.ariaLabel = this.getAttribute("label");
    this.tabs = this.sections.map((section) => this.tab(section));
    this.list.append(...this.tabs);
    this.prepend(this.list);
    this.list.addEventListener("keydown", (event) => this.move(event));
    const named = this.sections.findIndex((section) => location.hash === `#${section.id}`);
    this.select(Math.max(named, 0));
  }

  tab(section) {
    section.id ||= `tab-${++count}`;
    section.role = "tabpanel";
    const tab = document.createElement("button");
    tab.type = "button";
    tab.role = "tab";
    tab.className = "tab";
    tab.id = `${section.id}-tab`;
    tab.textContent = section.dataset.tab;
    tab.setAttribute("aria-controls", section.id);
    section.setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => this.select(this.tabs.indexOf(tab)));
    return tab;
  }

  move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (this.tabs.indexOf(document.activeElement) + step + this.tabs.length) % this.tabs.length;
    this.select(next);
    this.tabs[next].focus();
  }

  select(chosen) {
    this.tabs.forEach((tab, index) => {
      tab.ariaSelected = String(index === chosen);
      tab.tabIndex = index === chosen ? 0 : -1;
      this.sections[index].hidden = index !== chosen;
    });
  }
}

customElements.define("tab-set", TabSet);
