#pragma once

#include <string>
#include <vector>

namespace polyphony {

/// A text table. Columns whose cells are all numbers (or empty, or "-") are aligned right.
class Table {
 public:
  explicit Table(std::vector<std::string> header);

  /// Missing cells are empty; cells beyond the header are an error of the caller.
  /// @throws std::invalid_argument for more cells than columns
  void add_row(std::vector<std::string> cells);
  std::size_t rows() const { return rows_.size(); }

  /// Lines with a rule below the header, columns two spaces apart; line breaks in cells become
  /// spaces.
  std::string to_text() const;
  /// A GitHub table.
  std::string to_markdown() const;
  /// A `tabular` with the rules of LaTeX's booktabs package.
  std::string to_latex() const;
  /// As to_csv() of csv.h.
  std::string to_csv() const;

 private:
  std::vector<int> widths() const;
  std::vector<bool> numeric() const;

  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace polyphony
