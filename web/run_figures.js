// What a run drew of its evaluations, as curves: ROC, precision and recall, calibration.

import { number } from './format.js';

function roc(data) {
  const curve = ({ fpr, tpr, auc, class: name }) => ({
    x: fpr,
    y: tpr,
    label: `${name} (area ${number(auc)})`,
  });
  const chance = { x: [0, 1], y: [0, 1], label: 'chance', plain: true };
  return { title: 'ROC', x: 'false positive rate', curves: [...data.curves.map(curve), chance] };
}

function precisionRecall(data) {
  const curve = ({ recall, precision, average_precision, class: name }) => ({
    x: recall,
    y: precision,
    label: `${name} (average ${number(average_precision)})`,
  });
  return { title: 'Precision and recall', x: 'recall', curves: data.curves.map(curve) };
}

function calibration(data) {
  const bins = data.bins.filter((bin) => bin.count > 0);
  return {
    title: 'Calibration',
    x: 'confidence',
    note: `expected error ${number(data.ece)}, greatest ${number(data.mce)}`,
    curves: [
      { x: bins.map((bin) => bin.confidence), y: bins.map((bin) => bin.accuracy), label: 'accuracy' },
      { x: [0, 1], y: [0, 1], label: 'well calibrated', plain: true },
    ],
  };
}

/** Figures by kind: title, name of x and curves; or the matrix that they are. */
export const shapes = {
  roc,
  pr: precisionRecall,
  calibration,
  confusion_matrix: (data) => ({ matrix: data }),
};

/** Points in the order of x: a curve of precision is written from the right. */
export function ascending(curve) {
  const order = curve.x.map((_, i) => i).sort((a, b) => curve.x[a] - curve.x[b] || a - b);
  return { ...curve, x: order.map((i) => curve.x[i]), y: order.map((i) => curve.y[i]) };
}
