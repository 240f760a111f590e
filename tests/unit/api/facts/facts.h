#pragma once
// Tables of facts about upstream's API, which live outside of this repository, and the list of
// differences that were looked at and are meant.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace moth::facts {

using Row = std::vector<std::string>;  // cells of a line

// The folder of the tables: $MOTH_FACTS, else ../shared/facts beside the checkout. Unset: neither
// is there.
std::optional<std::string> folder();
// The rows of folder()/name behind the header.
std::vector<Row> read_table(const std::string& name);

// Collects differences, and at the end says which of them nobody has looked at. A line of
// differences.tsv is a difference and its reason; a difference that ends in `*` stands for all that
// begin with it.
class Differences {
 public:
  // `table`: the first word of the lines that belong to it.
  explicit Differences(std::string table);
  void add(const std::string& what);
  void compare(const std::string& where, const std::string& fact, const std::string& ours);
  // Fails the test for what is not listed, and for what is listed and no longer there; prints the
  // rest with its reason.
  void judge();

 private:
  std::string table_;
  std::set<std::string> found_;
};

}  // namespace moth::facts
