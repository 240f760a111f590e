// base_images(): just enough of the Dockerfile language to know which images it needs.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "runtime/images/build.h"

namespace moth::images {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;

struct Instruction {
  int line = 0;
  std::string keyword;  // upper case
  std::string rest;
};

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

std::string upper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return result;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return result;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> list;
  while (true) {
    text = trim(text);
    if (text.empty()) return list;
    auto end = std::min(text.find_first_of(" \t"), text.size());
    list.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}
  bool next(std::string_view& line) {
    if (text_.empty()) return false;
    auto end = text_.find('\n');
    line = text_.substr(0, end);
    text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
    ++number_;
    return true;
  }
  int number() const { return number_; }

 private:
  std::string_view text_;
  int number_ = 0;
};

// The delimiters of the here-documents that a RUN, COPY or ADD line opens.
std::vector<std::string> heredocs(std::string_view text) {
  std::vector<std::string> delimiters;
  for (std::size_t at = text.find("<<"); at != std::string_view::npos; at = text.find("<<", at)) {
    at += 2;
    if (at < text.size() && text[at] == '-') ++at;
    char quote = at < text.size() && (text[at] == '"' || text[at] == '\'') ? text[at++] : '\0';
    std::size_t start = at;
    auto is_word = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    while (at < text.size() && is_word(text[at])) ++at;
    if (at > start && (quote == '\0' || (at < text.size() && text[at] == quote))) {
      delimiters.emplace_back(text.substr(start, at - start));
    }
  }
  return delimiters;
}

void skip_heredocs(Lines& lines, std::string_view instruction) {
  for (const std::string& delimiter : heredocs(instruction)) {
    std::string_view line;
    while (lines.next(line) && trim(line) != delimiter) {
    }
  }
}

std::vector<Instruction> read_instructions(std::string_view text) {
  std::vector<Instruction> list;
  Lines lines(text);
  std::string_view line;
  char escape = '\\';
  bool directives = true;
  std::string pending;
  int start = 0;
  while (lines.next(line)) {
    std::string_view content = trim(line);
    if (content.starts_with('#')) {
      std::string directive = lower(content);
      directive.erase(std::remove(directive.begin(), directive.end(), ' '), directive.end());
      if (directives && directive == "#escape=`") escape = '`';
      continue;
    }
    directives = false;
    if (content.empty()) continue;
    if (pending.empty()) start = lines.number();
    if (content.back() == escape) {
      pending += content.substr(0, content.size() - 1);
      pending += ' ';
      continue;
    }
    pending += content;
    auto end = std::min(pending.find_first_of(" \t"), pending.size());
    Instruction instruction{start, upper(pending.substr(0, end)),
                            std::string(trim(std::string_view(pending).substr(end)))};
    if (instruction.keyword == "RUN" || instruction.keyword == "COPY" ||
        instruction.keyword == "ADD") {
      skip_heredocs(lines, instruction.rest);
    }
    list.push_back(std::move(instruction));
    pending.clear();
  }
  return list;
}

// $NAME, ${NAME}, ${NAME:-word}, ${NAME:+word}; the last name without a value is told.
std::string expand(std::string_view text, const Variables& variables, std::string& unset) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 >= text.size()) {
      out += text[i];
      continue;
    }
    bool braces = text[i + 1] == '{';
    std::size_t at = i + (braces ? 2 : 1);
    std::size_t start = at;
    while (at < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_')) {
      ++at;
    }
    std::string name(text.substr(start, at - start));
    auto found = variables.find(name);
    bool has_value = found != variables.end() && !found->second.empty();
    std::string value = has_value ? found->second : "";
    if (braces) {
      auto close = std::min(text.find('}', at), text.size());
      std::string_view modifier = text.substr(at, close - at);
      if (modifier.starts_with(":-") && !has_value) {
        value = modifier.substr(2);
        has_value = true;
      } else if (modifier.starts_with(":+")) {
        value = has_value ? modifier.substr(2) : "";
      }
      at = close + 1;
    }
    if (!has_value) unset = name;
    out += value;
    i = at - 1;
  }
  return out;
}

std::string unquote(std::string_view text) {
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
      text.back() == text.front()) {
    text = text.substr(1, text.size() - 2);
  }
  return std::string(text);
}

class Scanner {
 public:
  Scanner(const std::vector<std::pair<std::string, std::string>>& build_args, std::string target)
      : target_(lower(target)) {
    for (const auto& [name, value] : build_args) given_[name] = value;
  }

  Result<std::vector<std::string>> run(std::string_view text) {
    for (const Instruction& instruction : read_instructions(text)) {
      if (instruction.keyword == "ARG" && stages_.empty()) {
        argument(instruction);
      } else if (instruction.keyword == "FROM") {
        if (!target_.empty() && !stages_.empty() && stages_.back() == target_) break;
        MOTH_TRY(from(instruction));
      } else if (instruction.keyword == "COPY" || instruction.keyword == "ADD" ||
                 instruction.keyword == "RUN") {
        MOTH_TRY(copy(instruction));
      }
    }
    if (stages_.empty()) return fail(Error::bad_request("Dockerfile: there is no FROM"));
    return std::move(images_);
  }

 private:
  void argument(const Instruction& instruction) {
    for (std::string_view word : words(instruction.rest)) {
      auto equals = word.find('=');
      std::string name(word.substr(0, equals));
      std::string unset;
      if (equals != std::string_view::npos) {
        variables_[name] = expand(unquote(word.substr(equals + 1)), variables_, unset);
      }
      if (auto it = given_.find(name); it != given_.end()) variables_[name] = it->second;
    }
  }

  Result<void> from(const Instruction& instruction) {
    std::vector<std::string_view> parts = words(instruction.rest);
    std::erase_if(parts, [](std::string_view word) { return word.starts_with("--"); });
    if (parts.empty()) {
      return fail(Error::bad_request(
          fmt::format("Dockerfile line {}: FROM needs an image", instruction.line)));
    }
    MOTH_TRY(add(unquote(parts[0]), instruction));
    bool named = parts.size() >= 3 && upper(parts[1]) == "AS";
    stages_.push_back(named ? lower(parts[2]) : "");
    return {};
  }

  // --from=X of COPY and ADD, from=X of RUN --mount.
  Result<void> copy(const Instruction& instruction) {
    for (std::string_view word : words(instruction.rest)) {
      if (!word.starts_with("--")) return {};
      std::string_view source;
      if (word.starts_with("--from=")) {
        source = word.substr(7);
      } else if (auto at = word.find(",from="); word.starts_with("--mount=") && at != word.npos) {
        source = word.substr(at + 6);
        source = source.substr(0, source.find(','));
      } else if (word.starts_with("--mount=from=")) {
        source = word.substr(13);
        source = source.substr(0, source.find(','));
      }
      if (source.empty()) continue;
      bool index =
          std::all_of(source.begin(), source.end(), [](char c) { return c >= '0' && c <= '9'; });
      if (!index) MOTH_TRY(add(unquote(source), instruction));
    }
    return {};
  }

  Result<void> add(const std::string& text, const Instruction& instruction) {
    std::string unset;
    std::string name = expand(text, variables_, unset);
    if (name.empty()) {
      return fail(Error::bad_request(
          fmt::format("Dockerfile line {}: the build argument {} has no value: give it one with "
                      "--build-arg {}=IMAGE",
                      instruction.line, unset, unset)));
    }
    if (name == "scratch") return {};
    if (std::find(stages_.begin(), stages_.end(), lower(name)) != stages_.end()) return {};
    auto reference = parse_reference(name);
    if (!reference) {
      return fail(std::move(
          reference.error().with_context(fmt::format("Dockerfile line {}", instruction.line))));
    }
    if (std::find(images_.begin(), images_.end(), name) == images_.end()) images_.push_back(name);
    return {};
  }

  Variables given_;
  Variables variables_;
  std::string target_;
  std::vector<std::string> stages_;
  std::vector<std::string> images_;
};

}  // namespace

Result<std::vector<std::string>> base_images(
    std::string_view dockerfile, const std::vector<std::pair<std::string, std::string>>& build_args,
    const std::string& target) {
  return Scanner(build_args, target).run(dockerfile);
}

}  // namespace moth::images
