// Reads one schema file. The format is described in data/README.md.
#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

#include "model.h"

namespace schemac {

namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::stringstream stream(line);
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

class Parser {
 public:
  explicit Parser(const std::string& path) { file_.path = path; }

  SourceFile parse() {
    std::ifstream stream(file_.path);
    if (!stream) throw std::runtime_error(file_.path + ": cannot be opened");
    for (std::string line; std::getline(stream, line);) {
      ++line_;
      parse_line(line);
    }
    if (file_.package.empty()) fail("the file names no package");
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw SchemaError(file_.path, line_, what);
  }

  void parse_line(const std::string& line) {
    std::size_t start = line.find_first_not_of(' ');
    if (start == std::string::npos) {
      doc_ = nullptr;
      return;
    }
    if (line.find('\t') != std::string::npos) fail("a tab: use spaces");
    if (line[start] == '#') return;
    if (line[start] == '|') return add_doc(line.substr(start + 1));
    if (start == 0) return parse_head(words_of(line));
    parse_field(words_of(line));
  }

  void add_doc(const std::string& text) {
    if (!doc_) fail("a description must follow a type or a field");
    if (!doc_->empty()) *doc_ += ' ';
    std::size_t start = text.find_first_not_of(' ');
    if (start != std::string::npos) *doc_ += text.substr(start);
  }

  void parse_head(const std::vector<std::string>& words) {
    const std::string& keyword = words[0];
    doc_ = nullptr;
    if (keyword == "package" || keyword == "group" || keyword == "version") {
      if (words.size() != 2) fail(keyword + " takes one word");
      std::string value = words[1] == "-" ? "" : words[1];
      (keyword == "package" ? file_.package
       : keyword == "group" ? file_.group
                            : file_.version) = value;
      return;
    }
    SourceType type;
    type.line = line_;
    if (words.size() < 2) fail(keyword + " needs a name");
    type.name = words[1];
    if (keyword == "scalar") {
      if (words.size() != 3) fail("write: scalar NAME KIND");
      type.form = SourceType::Form::kScalar;
      type.scalar_kind = words[2];
    } else if (keyword == "type" || keyword == "kind") {
      type.form = keyword == "kind" ? SourceType::Form::kRoot : SourceType::Form::kType;
      for (std::size_t i = 2; i < words.size(); ++i) {
        if (words[i] != "atomic") fail("unknown word " + words[i] + " (only: atomic)");
        type.atomic = true;
      }
    } else {
      fail("unknown keyword " + keyword +
           " (known: package, group, version, type, kind, scalar; fields are indented)");
    }
    file_.types.push_back(std::move(type));
    doc_ = &file_.types.back().doc;
  }

  void parse_field(const std::vector<std::string>& words) {
    if (file_.types.empty()) fail("a field outside of any type");
    SourceType& type = file_.types.back();
    if (type.form == SourceType::Form::kScalar) fail("a scalar has no fields");
    if (words.size() < 2) fail("write: NAME VALUE [ATTRIBUTE...]");
    SourceField field;
    field.line = line_;
    bool is_inline = words[0] == "inline";
    if (!is_inline) field.name = words[0];
    field.value = words[1];
    for (std::size_t i = 2; i < words.size(); ++i) parse_attribute(field, words[i]);
    if (is_inline && field.number == 0) fail("an inline needs its number (#N)");
    check_attributes(field);
    type.fields.push_back(std::move(field));
    doc_ = &type.fields.back().doc;
  }

  void parse_attribute(SourceField& field, const std::string& word) {
    if (word[0] == '#') return parse_number(field, word);
    if (word == "required") {
      field.required = true;
      return;
    }
    std::size_t equals = word.find('=');
    if (equals == std::string::npos) fail("unknown attribute " + word);
    std::string name = word.substr(0, equals), value = word.substr(equals + 1);
    if (name == "default") {
      field.default_json = value;
      return;
    }
    std::string argument;
    if (std::size_t open = value.find('('); open != std::string::npos) {
      if (value.back() != ')') fail("a missing ) in " + word);
      argument = value.substr(open + 1, value.size() - open - 2);
      value.resize(open);
    }
    if (name == "list") {
      field.list_type = value;
      field.list_keys = split(argument, ',');
    } else if (name == "map") {
      field.map_type = value;
    } else if (name == "patch") {
      parse_patch(field, value);
      field.merge_key = argument;
    } else {
      fail("unknown attribute " + name + " (known: required, default, list, map, patch, #N)");
    }
  }

  void parse_number(SourceField& field, std::string word) {
    if (word.back() == '?') {
      field.pointer = true;
      word.pop_back();
    }
    if (word.size() < 2 || word.size() > 6 ||
        !std::all_of(word.begin() + 1, word.end(), [](unsigned char c) { return std::isdigit(c); }))
      fail("a field number is written #N or #N?");
    field.number = static_cast<std::uint32_t>(std::stoul(word.substr(1)));
    if (field.number == 0) fail("field numbers start at 1");
  }

  void parse_patch(SourceField& field, const std::string& value) {
    for (const std::string& strategy : split(value, ',')) {
      if (strategy == "merge") {
        field.patch_merge = true;
      } else if (strategy == "replace") {
        field.patch_replace = true;
      } else if (strategy == "retainKeys") {
        field.retain_keys = true;
      } else {
        fail("unknown patch strategy " + strategy + " (known: merge, replace, retainKeys)");
      }
    }
  }

  void check_attributes(const SourceField& field) const {
    const std::string& list = field.list_type;
    if (!list.empty() && list != "atomic" && list != "set" && list != "map")
      fail("unknown list type " + list + " (known: atomic, set, map)");
    if (!list.empty() && !field.value.starts_with("[]")) fail("list= is for lists alone");
    if ((list == "map") == field.list_keys.empty())
      fail("list=map(KEY,...) has keys, the other list types have none");
    const std::string& map = field.map_type;
    if (!map.empty() && map != "atomic" && map != "granular")
      fail("unknown map type " + map + " (known: atomic, granular)");
    if (!field.merge_key.empty() && !field.patch_merge) fail("a merge key without patch=merge");
  }

  SourceFile file_;
  int line_ = 0;
  std::string* doc_ = nullptr;  // what a description line belongs to
};

}  // namespace

SourceFile parse_file(const std::string& path) {
  return Parser(path).parse();
}

}  // namespace schemac
