#include "tests/unit/api/facts/facts.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace moth::facts {
namespace {

Row split(const std::string& line) {
  Row cells;
  std::size_t at = 0;
  for (;;) {
    std::size_t tab = line.find('\t', at);
    cells.push_back(line.substr(at, tab - at));
    if (tab == std::string::npos) return cells;
    at = tab + 1;
  }
}

std::vector<Row> read_rows(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << "cannot read " << path;
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(split(line));
  return rows;
}

struct Reason {
  std::string pattern, reason;
  bool used = false;
};

bool matches(const std::string& pattern, const std::string& text) {
  if (!pattern.ends_with('*')) return pattern == text;
  return text.starts_with(pattern.substr(0, pattern.size() - 1));
}

std::vector<Reason> reviewed(const std::string& table) {
  std::vector<Reason> out;
  for (const Row& row :
       read_rows(std::string(MOTH_SOURCE_DIR) + "/tests/unit/api/facts/differences.tsv")) {
    if (row.size() != 2 || row[0].starts_with('#')) continue;
    if (row[0].starts_with(table + " ")) out.push_back({row[0], row[1]});
  }
  return out;
}

}  // namespace

std::optional<std::string> folder() {
  const char* given = std::getenv("MOTH_FACTS");
  std::string path = given ? given : std::string(MOTH_SOURCE_DIR) + "/../shared/facts";
  if (!std::filesystem::is_directory(path)) return std::nullopt;
  return path;
}

std::vector<Row> read_table(const std::string& name) {
  std::vector<Row> rows = read_rows(*folder() + "/" + name);
  if (!rows.empty()) rows.erase(rows.begin());
  return rows;
}

Differences::Differences(std::string table) : table_(std::move(table)) {}

void Differences::add(const std::string& what) {
  found_.insert(table_ + " " + what);
}

void Differences::compare(const std::string& where, const std::string& fact,
                          const std::string& ours) {
  if (fact != ours) add(where + ": upstream \"" + fact + "\", here \"" + ours + "\"");
}

void Differences::judge() {
  std::vector<Reason> reasons = reviewed(table_);
  for (const std::string& what : found_) {
    bool known = false;
    for (Reason& reason : reasons) {
      if (!matches(reason.pattern, what)) continue;
      known = reason.used = true;
      std::cout << what << "\n    " << reason.reason << "\n";
      break;
    }
    EXPECT_TRUE(known) << what << "\nMend it, or list it with its reason in differences.tsv.";
  }
  for (const Reason& reason : reasons) {
    EXPECT_TRUE(reason.used) << reason.pattern << "\nis listed in differences.tsv, but is not so.";
  }
}

}  // namespace moth::facts
