// Before anything is painted: the theme chosen last, else the system's.
const chosenTheme = localStorage.getItem('polyphony-theme');
if (chosenTheme) document.documentElement.dataset.theme = chosenTheme;
