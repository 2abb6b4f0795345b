#include <polyphony/record/formats/append_table.h>

#include <algorithm>

#include <polyphony/base/csv.h>
#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>

namespace polyphony::record {

AppendTable::AppendTable(std::filesystem::path path, std::string line_end,
                         std::vector<std::string> columns)
    : path_(std::move(path)), line_end_(std::move(line_end)), header_(std::move(columns)) {
  if (!std::filesystem::exists(path_)) return;
  const AppendedCsv found = read_appended_csv(path_);
  if (found.left_out > 0) warn("{}: {}", path_.string(), found.note());
  if (found.table.header.empty()) return;
  header_ = found.table.header;
  anew_ = false;
}

void AppendTable::add(const Cells& cells) {
  std::vector<std::string> row(header_.size());
  for (const auto& [name, text] : cells) {
    const auto found = std::find(header_.begin(), header_.end(), name);
    const auto column = static_cast<std::size_t>(found - header_.begin());
    if (found == header_.end()) {
      header_.push_back(name);
      row.emplace_back();
      anew_ = true;
    }
    row[column] = text;
  }
  rows_.push_back(std::move(row));
}

void AppendTable::write_anew(const std::string& lines) {
  std::string text = csv_row(header_, line_end_);
  if (std::filesystem::exists(path_)) {
    for (std::vector<std::string>& row : read_appended_csv(path_).table.rows) {
      row.resize(header_.size());
      text += csv_row(row, line_end_);
    }
  }
  out_.reset();
  write_file(path_, text + lines);
  anew_ = false;
}

void AppendTable::flush() {
  if (rows_.empty()) return;
  std::string lines;
  for (std::vector<std::string>& row : rows_) {
    row.resize(header_.size());  // columns that came later
    lines += csv_row(row, line_end_);
  }
  if (anew_ || !std::filesystem::exists(path_)) {
    write_anew(lines);
  } else {
    if (!out_) out_ = std::make_unique<AppendFile>(path_, AppendFile::Mode::kContinue);
    out_->discard();  // what an earlier flush could not write is among the rows
    out_->append(lines);
    out_->flush();
  }
  rows_.clear();
}

}  // namespace polyphony::record
