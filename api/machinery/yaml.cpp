#include "api/machinery/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>

#include "api/machinery/json_text.h"
#include "api/machinery/text.h"
#include "api/machinery/yaml_scalar.h"

namespace moth {
namespace {

constexpr std::string_view kPrefix = "error converting YAML to JSON: ";

// Leaves the parser; caught in parse_yaml_documents and nowhere else.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void refuse(const YAML::Mark& mark, std::string_view what) {
  throw Refused(fmt::format("yaml: line {}: {} (column {})", mark.line + 1, what, mark.column + 1));
}

// Turns the parser's events into documents.
class DocumentBuilder final : public YAML::EventHandler {
 public:
  DocumentBuilder(std::string_view text, const YamlLimits& limits) : text_(text), limits_(limits) {}

  std::vector<YamlDocument> documents;

  // The parser takes a quoted scalar that the text's end cuts off for a whole one.
  void check_last_quote() const {
    if (!last_quoted_) return;
    auto at = static_cast<std::size_t>(last_quoted_->pos);
    if (at >= text_.size() || (text_[at] != '"' && text_[at] != '\'')) return;
    char quote = text_[at];
    for (++at; at < text_.size(); ++at) {
      if (quote == '"' && text_[at] == '\\') {
        ++at;
      } else if (text_[at] == quote) {
        // Two single quotes are one inside the text.
        if (quote == '"' || at + 1 == text_.size() || text_[at + 1] != quote) return;
        ++at;
      }
    }
    refuse(*last_quoted_, "found unexpected end of stream");
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    // What no document can start with, the parser leaves where it is and takes for another empty
    // document, without end.
    bool stuck = mark.pos == last_start_;
    if (last_start_ >= 0 && (stuck || !is_document_start(mark))) {
      refuse(mark, "did not find expected <document start>");
    }
    last_start_ = mark.pos;
    current_ = YamlDocument{};
    current_.line = mark.line + 1;
    has_root_ = false;
    anchors_.clear();
    frames_.clear();
  }

  void OnDocumentEnd() override {
    if (!has_root_ || current_.value.is_null()) return;
    if (documents.size() >= limits_.max_documents) {
      throw Refused(fmt::format("yaml: more than {} documents", limits_.max_documents));
    }
    documents.push_back(std::move(current_));
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) refuse(mark, "null cannot be a key");
    if (!frames_.empty()) check_colon(frames_.back());
    add(mark, anchor, Json(nullptr), 1);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (anchor >= anchors_.size() || !anchors_[anchor].complete) {
      refuse(mark, "an anchor's value contains itself");
    }
    const Anchor& target = anchors_[anchor];
    if (expects_key()) {
      if (target.value.is_structured() || target.value.is_null()) refuse(mark, "invalid map key");
      set_key(mark, key_text(target.value));
      return;
    }
    // Counted before it is copied.
    charge(mark, target.nodes);
    add(mark, 0, target.value, target.nodes);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    charge(mark, 1);
    bool plain = tag == "?";
    if (!plain) last_quoted_ = mark;
    if (expects_key()) {
      frames_.back().key_end = plain ? end_of_plain(mark, text) : std::nullopt;
      frames_.back().key_mark = mark;
    }
    if (expects_key() && plain && text == "<<") {
      frames_.back().merge = true;
      frames_.back().has_key = true;
      return;
    }
    auto value = resolve_yaml_scalar(tag, text);
    if (!value) refuse(mark, value.error().message);
    if (expects_key()) {
      if (value->is_null()) refuse(mark, "null cannot be a key");
      remember(mark, anchor, *value, 1);
      set_key(mark, key_text(*value));
      return;
    }
    add(mark, anchor, std::move(*value), 1);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, anchor, Json::array());
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    open(mark, anchor, Json::object());
    frames_.back().flow = style == YAML::EmitterStyle::Flow;
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Json value;
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    std::size_t nodes = 1;
    std::string key;
    YAML::Mark key_mark;
    std::optional<std::size_t> key_end;  // of a plain key: where the text goes on after it
    bool flow = false;
    bool has_key = false;
    bool merge = false;            // the key is <<
    std::set<std::string> merged;  // members that came by << and may be given again
  };
  struct Anchor {
    Json value;
    std::size_t nodes = 0;
    bool complete = false;
  };

  bool expects_key() const {
    return !frames_.empty() && frames_.back().value.is_object() && !frames_.back().has_key;
  }

  // The parser takes what it cannot continue with for a document of its own, over and over if need
  // be.
  bool is_document_start(const YAML::Mark& mark) const {
    auto at = static_cast<std::size_t>(mark.pos);
    if (text_.substr(std::min(at, text_.size())).starts_with("---")) return true;
    auto before = text_.substr(0, at).find_last_not_of(" \t\r\n");
    return before != std::string_view::npos && text_.substr(0, before + 1).ends_with("\n...");
  }

  std::optional<std::size_t> end_of_plain(const YAML::Mark& mark, const std::string& value) const {
    auto at = static_cast<std::size_t>(mark.pos);
    if (at >= text_.size() || text_.substr(at, value.size()) != value) return std::nullopt;
    return at + value.size();
  }

  // The parser takes a lone word at the end of a block for a key without a value.
  void check_colon(const Frame& frame) const {
    if (!frame.value.is_object() || frame.flow || !frame.key_end) return;
    auto next = text_.find_first_not_of(" \t", *frame.key_end);
    if (next != std::string_view::npos && text_[next] == ':') return;
    auto start = static_cast<std::size_t>(frame.key_mark.pos);
    auto before = start == 0 ? std::string_view::npos : text_.find_last_not_of(" \t", start - 1);
    bool explicit_key = before != std::string_view::npos && text_[before] == '?';
    if (!explicit_key) refuse(frame.key_mark, "could not find expected ':'");
  }

  void charge(const YAML::Mark& mark, std::size_t nodes) {
    if (nodes > limits_.max_nodes - nodes_) {
      refuse(mark, fmt::format("document contains excessive aliasing or more than {} nodes",
                               limits_.max_nodes));
    }
    nodes_ += nodes;
  }

  void remember(const YAML::Mark& mark, YAML::anchor_t anchor, const Json& value,
                std::size_t nodes) {
    if (anchor == 0) return;
    charge(mark, nodes);
    if (anchors_.size() <= anchor) anchors_.resize(anchor + 1);
    anchors_[anchor] = {value, nodes, true};
  }

  void set_key(const YAML::Mark& mark, std::string key) {
    Frame& frame = frames_.back();
    if (frame.value.contains(key) && !frame.merged.contains(key)) {
      current_.duplicates.push_back({mark.line + 1, key});
    }
    frame.key = std::move(key);
    frame.has_key = true;
    frame.merge = false;
  }

  static std::string key_text(const Json& value) {
    return value.is_string() ? value.get<std::string>() : dump_json(value);
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, Json container) {
    if (expects_key()) refuse(mark, "invalid map key: it must be a scalar");
    if (frames_.size() >= limits_.max_depth) {
      refuse(mark, fmt::format("exceeded max depth of {}", limits_.max_depth));
    }
    charge(mark, 1);
    Frame frame;
    frame.value = std::move(container);
    frame.mark = mark;
    frame.anchor = anchor;
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    add(frame.mark, frame.anchor, std::move(frame.value), frame.nodes);
  }

  void add(const YAML::Mark& mark, YAML::anchor_t anchor, Json value, std::size_t nodes) {
    remember(mark, anchor, value, nodes);
    if (frames_.empty()) {
      current_.value = std::move(value);
      current_.line = mark.line + 1;
      has_root_ = true;
      return;
    }
    Frame& frame = frames_.back();
    frame.nodes += nodes;
    if (frame.value.is_array()) {
      frame.value.push_back(std::move(value));
      return;
    }
    frame.has_key = false;
    if (frame.merge) {
      merge(mark, frame, value);
    } else {
      frame.value[frame.key] = std::move(value);
    }
  }

  // Of a list of maps the first one wins, so it is merged last.
  static void merge(const YAML::Mark& mark, Frame& frame, const Json& value) {
    frame.merge = false;
    if (value.is_object()) {
      merge_map(frame, value);
      return;
    }
    if (!value.is_array()) refuse(mark, "map merge requires map or sequence of maps as the value");
    for (auto each = value.rbegin(); each != value.rend(); ++each) {
      if (!each->is_object())
        refuse(mark, "map merge requires map or sequence of maps as the value");
      merge_map(frame, *each);
    }
  }

  static void merge_map(Frame& frame, const Json& map) {
    for (const auto& [name, member] : map.get_ref<const Json::object_t&>()) {
      frame.value[name] = member;
      frame.merged.insert(name);
    }
  }

  std::string_view text_;
  const YamlLimits& limits_;
  std::size_t nodes_ = 0;
  std::optional<YAML::Mark> last_quoted_;
  YamlDocument current_;
  bool has_root_ = false;
  int last_start_ = -1;  // offset of the newest document
  std::vector<Frame> frames_;
  std::vector<Anchor> anchors_;
};

// The library's messages in the words that users of kubectl know.
std::string_view familiar(std::string_view message, bool tab_indented) {
  struct Row {
    std::string_view start, text;
  };
  constexpr Row kRows[] = {
      {"illegal map value", "mapping values are not allowed in this context"},
      {"illegal map key", "mapping keys are not allowed in this context"},
      {"illegal block entry", "block sequence entries are not allowed in this context"},
      {"illegal flow end", "did not find expected node content"},
      {"illegal tab", "found a tab character where an indentation space is expected"},
      {"illegal EOF in scalar", "found unexpected end of stream"},
      {"illegal document indicator in scalar", "found unexpected document indicator"},
      {"end of map not found", "did not find expected key"},
      {"end of map flow not found", "did not find expected ',' or '}'"},
      {"end of sequence flow", "did not find expected ',' or ']'"},
      {"end of sequence", "did not find expected '-' indicator"},
      {"unknown token", "found character that cannot start any token"},
      {"unknown escape character", "found unknown escape character"},
      {"unexpected character in block scalar", "did not find expected comment or line break"},
      {"the referenced anchor is not defined", "unknown anchor referenced"},
  };
  for (const Row& row : kRows) {
    if (!message.starts_with(row.start)) continue;
    bool about_indentation = row.start == "illegal map value" || row.start == "illegal block entry";
    return about_indentation && tab_indented ? "found character that cannot start any token"
                                             : row.text;
  }
  return message;
}

// Whether the line, counted from 0, begins with spaces of which one is a tab.
bool is_tab_indented(std::string_view text, int line) {
  for (int i = 0; i < line; ++i) {
    auto end = text.find('\n');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
}

std::optional<std::string> check_characters(std::string_view text) {
  int line = 1;
  for (std::size_t i = 0; i < text.size();) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '\n') ++line;
    if ((byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t') || byte == 0x7F) {
      return fmt::format("yaml: line {}: control characters are not allowed", line);
    }
    std::size_t length = utf8_length(text, i);
    if (length == 0) return fmt::format("yaml: line {}: invalid UTF-8", line);
    i += length;
  }
  return std::nullopt;
}

bool is_json_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Where the JSON value that starts at `begin` ends; text.size() when it does not end.
std::size_t json_value_end(std::string_view text, std::size_t begin) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = begin; i < text.size(); ++i) {
    char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return i + 1;
  }
  return text.size();
}

// A stream of JSON objects, which is most of what machines send; nullopt when it is none.
std::optional<std::vector<YamlDocument>> parse_json_stream(std::string_view text,
                                                           const YamlLimits& limits) {
  std::vector<YamlDocument> documents;
  JsonTextOptions options;
  options.max_depth = limits.max_depth;
  int line = 1;
  for (std::size_t at = 0;;) {
    for (; at < text.size() && is_json_space(text[at]); ++at) line += text[at] == '\n' ? 1 : 0;
    if (at == text.size()) return documents;
    if (text[at] != '{' || documents.size() >= limits.max_documents) return std::nullopt;
    std::size_t end = json_value_end(text, at);
    std::vector<std::string> duplicates;
    auto value = parse_json(text.substr(at, end - at), duplicates, options);
    if (!value) return std::nullopt;
    YamlDocument document;
    document.value = std::move(*value);
    document.line = line;
    for (std::string& path : duplicates) document.duplicates.push_back({line, std::move(path)});
    documents.push_back(std::move(document));
    for (; at < end; ++at) line += text[at] == '\n' ? 1 : 0;
  }
}

tl::unexpected<Error> yaml_error(std::string_view what) {
  return fail(Error::bad_request(fmt::format("{}{}", kPrefix, what)));
}

}  // namespace

Result<std::vector<YamlDocument>> parse_yaml_documents(std::string_view text,
                                                       const YamlLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return yaml_error(fmt::format("yaml: the text is longer than {} bytes", limits.max_bytes));
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (auto problem = check_characters(text)) return yaml_error(*problem);
  auto first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') {
    if (auto documents = parse_json_stream(text, limits)) return std::move(*documents);
  }
  DocumentBuilder builder(text, limits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    builder.check_last_quote();
  } catch (const Refused& refused) {
    return yaml_error(refused.what());
  } catch (const YAML::ParserException& exception) {
    if (exception.mark.is_null()) {
      return yaml_error(fmt::format("yaml: {}", familiar(exception.msg, false)));
    }
    bool tab_indented = is_tab_indented(text, exception.mark.line);
    return yaml_error(fmt::format("yaml: line {}: {} (column {})", exception.mark.line + 1,
                                  familiar(exception.msg, tab_indented),
                                  exception.mark.column + 1));
  } catch (const std::exception& exception) {
    return yaml_error(fmt::format("yaml: {}", exception.what()));
  }
  return std::move(builder.documents);
}

Result<Json> parse_yaml(std::string_view text, bool strict, const YamlLimits& limits) {
  MOTH_ASSIGN(std::vector<YamlDocument> documents, parse_yaml_documents(text, limits));
  if (documents.empty()) return Json();
  if (documents.size() > 1) {
    return yaml_error(fmt::format("yaml: expected one document, a second one starts at line {}",
                                  documents[1].line));
  }
  YamlDocument& document = documents.front();
  if (strict && !document.duplicates.empty()) {
    std::string what = "yaml: unmarshal errors:";
    for (const YamlDuplicate& duplicate : document.duplicates) {
      what += fmt::format("\n  line {}: key {} already set in map", duplicate.line,
                          go_quote(duplicate.key));
    }
    return yaml_error(what);
  }
  return std::move(document.value);
}

}  // namespace moth
