// The filter of runs, which several views share: the language of `polyphony runs --where`.

import { debounced, h } from './dom.js';
import { go } from './state.js';

export class FilterBox {
  constructor() {
    this.input = h('input', {
      type: 'search',
      spellcheck: 'false',
      autocomplete: 'off',
      placeholder: 'filter:  test_acc > 0.7 and optimizer.lr <= 1e-3',
      'aria-label': 'Filter of runs',
      'aria-describedby': 'filter-error',
    });
    this.error = h('div', { class: 'error', id: 'filter-error', role: 'alert', hidden: true });
    const apply = debounced(() => go({ where: this.input.value.trim() }, { quiet: true }), 250);
    this.input.addEventListener('input', apply);
    this.element = h('div', { class: 'filter' }, this.input, this.error);
  }
  update(state) {
    if (document.activeElement !== this.input) this.input.value = state.text('where');
  }
  /** Shows why the server refused; null where it did not. */
  show(error) {
    this.error.hidden = !error;
    this.error.textContent = error ? `${error.message}${error.remedy ? ` — ${error.remedy}` : ''}` : '';
    this.input.toggleAttribute('aria-invalid', Boolean(error));
  }
}
