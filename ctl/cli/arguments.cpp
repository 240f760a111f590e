#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "api/machinery/time.h"
#include "ctl/cli/command.h"

namespace moth::ctl {
namespace {

std::optional<bool> parse_bool(std::string_view text) {
  for (std::string_view yes : {"true", "1", "t", "T", "TRUE", "True"})
    if (text == yes) return true;
  for (std::string_view no : {"false", "0", "f", "F", "FALSE", "False"})
    if (text == no) return false;
  return std::nullopt;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return number;
}

std::optional<std::chrono::milliseconds> read_duration(std::string_view text) {
  if (auto seconds = parse_integer(text)) return std::chrono::seconds(*seconds);
  auto duration = parse_duration(text);
  if (!duration) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(*duration);
}

// Asking for a flag that a command did not declare is a bug of the command.
[[noreturn]] void undeclared(std::string_view name) {
  std::fprintf(stderr, "moth: internal error: flag --%.*s is not declared\n",
               static_cast<int>(name.size()), name.data());
  std::abort();
}

const std::string kNoText;

}  // namespace

const Arguments::Value& Arguments::value(std::string_view name) const {
  auto found = values_.find(name);
  if (found == values_.end()) undeclared(name);
  return found->second;
}

bool Arguments::given(std::string_view flag) const {
  return value(flag).given;
}

bool Arguments::own(std::string_view flag) const {
  return value(flag).own;
}

bool Arguments::flag(std::string_view name) const {
  const Value& found = value(name);
  return !found.texts.empty() && parse_bool(found.texts.back()).value_or(false);
}

const std::string& Arguments::text(std::string_view name) const {
  const Value& found = value(name);
  return found.texts.empty() ? kNoText : found.texts.back();
}

const std::vector<std::string>& Arguments::texts(std::string_view name) const {
  return value(name).texts;
}

std::int64_t Arguments::integer(std::string_view name) const {
  return parse_integer(text(name)).value_or(0);
}

std::chrono::milliseconds Arguments::duration(std::string_view name) const {
  return read_duration(text(name)).value_or(std::chrono::milliseconds(0));
}

class ArgumentReader {
 public:
  ArgumentReader(const std::vector<std::string>& args,
                 const std::vector<const std::vector<FlagSpec>*>& flags)
      : args_(args), flags_(flags) {
    for (const auto* list : flags_) {
      for (const FlagSpec& spec : *list) {
        Arguments::Value value;
        if (!spec.initial.empty()) value.texts.emplace_back(spec.initial);
        value.own = list == flags_.front();
        out_.values_.emplace(spec.name, std::move(value));
      }
    }
  }

  Result<Arguments> read() {
    for (at_ = 0; at_ < args_.size(); ++at_) {
      const std::string& arg = args_[at_];
      if (arg == "--") {
        out_.words_before_dashes = out_.words.size();
        out_.words.insert(out_.words.end(), args_.begin() + static_cast<std::ptrdiff_t>(at_) + 1,
                          args_.end());
        break;
      }
      if (arg.size() < 2 || arg[0] != '-') {
        out_.words.push_back(arg);
      } else if (arg[1] == '-') {
        MOTH_TRY(read_long(std::string_view(arg).substr(2)));
      } else {
        MOTH_TRY(read_short(std::string_view(arg).substr(1)));
      }
    }
    return std::move(out_);
  }

 private:
  const FlagSpec* by_name(std::string_view name) const {
    for (const auto* list : flags_)
      for (const FlagSpec& spec : *list)
        if (spec.name == name) return &spec;
    return nullptr;
  }

  const FlagSpec* by_letter(char letter) const {
    for (const auto* list : flags_)
      for (const FlagSpec& spec : *list)
        if (spec.letter == letter) return &spec;
    return nullptr;
  }

  Result<> read_long(std::string_view text) {
    auto equals = text.find('=');
    std::string_view name = text.substr(0, equals);
    const FlagSpec* spec = by_name(name);
    if (!spec) return fail(Error::bad_request(fmt::format("unknown flag: --{}", name)));
    if (equals != std::string_view::npos) return set(*spec, text.substr(equals + 1));
    if (spec->kind == FlagKind::kBool) return set(*spec, "true");
    if (!spec->bare.empty()) return set(*spec, spec->bare);
    if (at_ + 1 >= args_.size())
      return fail(Error::bad_request(fmt::format("flag needs an argument: --{}", name)));
    return set(*spec, args_[++at_]);
  }

  Result<> read_short(std::string_view letters) {
    std::string_view all = letters;
    while (!letters.empty()) {
      char letter = letters[0];
      letters.remove_prefix(1);
      const FlagSpec* spec = by_letter(letter);
      if (!spec) {
        return fail(
            Error::bad_request(fmt::format("unknown shorthand flag: '{}' in -{}", letter, all)));
      }
      if (letters.starts_with('=')) return set(*spec, letters.substr(1));
      if (spec->kind == FlagKind::kBool) {
        MOTH_TRY(set(*spec, "true"));
        continue;
      }
      if (!spec->bare.empty()) {
        MOTH_TRY(set(*spec, spec->bare));
        continue;
      }
      if (!letters.empty()) return set(*spec, letters);
      if (at_ + 1 >= args_.size()) {
        return fail(
            Error::bad_request(fmt::format("flag needs an argument: '{}' in -{}", letter, all)));
      }
      return set(*spec, args_[++at_]);
    }
    return {};
  }

  Result<> set(const FlagSpec& spec, std::string_view text) {
    auto bad = [&](std::string_view why) {
      std::string flag = spec.letter ? fmt::format("-{}, --{}", spec.letter, spec.name)
                                     : fmt::format("--{}", spec.name);
      return fail(Error::bad_request(
          fmt::format("invalid argument \"{}\" for \"{}\" flag: {}", text, flag, why)));
    };
    switch (spec.kind) {
      case FlagKind::kBool:
        if (!parse_bool(text)) return bad("true or false is expected");
        break;
      case FlagKind::kInteger:
        if (!parse_integer(text)) return bad("an integer is expected");
        break;
      case FlagKind::kDuration:
        if (!read_duration(text)) return bad("a duration such as 30s or 5m is expected");
        break;
      default:
        break;
    }
    Arguments::Value& value = out_.values_.find(spec.name)->second;
    bool several = spec.kind == FlagKind::kTexts || spec.kind == FlagKind::kList;
    if (!several || !value.given) value.texts.clear();
    value.given = true;
    if (spec.kind != FlagKind::kList) {
      value.texts.emplace_back(text);
      return {};
    }
    for (std::size_t from = 0; from <= text.size();) {
      auto comma = std::min(text.find(',', from), text.size());
      value.texts.emplace_back(text.substr(from, comma - from));
      from = comma + 1;
    }
    return {};
  }

  const std::vector<std::string>& args_;
  const std::vector<const std::vector<FlagSpec>*>& flags_;
  std::size_t at_ = 0;
  Arguments out_;
};

Result<Arguments> parse_arguments(const std::vector<std::string>& args,
                                  const std::vector<const std::vector<FlagSpec>*>& flags) {
  return ArgumentReader(args, flags).read();
}

namespace {

const Command* child_of(const Command& command, std::string_view name) {
  for (const Command& child : command.children) {
    if (child.name == name) return &child;
    for (std::string_view alias : child.aliases)
      if (alias == name) return &child;
  }
  return nullptr;
}

// Whether the flag `arg` takes the next argument as its value. Flags in front of the command's name
// can only be global ones.
bool takes_next(std::string_view arg, const std::vector<FlagSpec>& globals) {
  if (arg.size() < 2 || arg[0] != '-' || arg.find('=') != std::string_view::npos) return false;
  bool is_long = arg[1] == '-';
  for (const FlagSpec& spec : globals) {
    bool same = is_long ? spec.name == arg.substr(2) : spec.letter == arg[1] && arg.size() == 2;
    if (same) return spec.kind != FlagKind::kBool && spec.bare.empty();
  }
  return false;
}

}  // namespace

Found find_command(const Command& root, const std::vector<std::string>& args,
                   const std::vector<FlagSpec>& globals) {
  Found found;
  found.path.push_back(&root);
  bool descending = true;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    const Command& here = *found.path.back();
    if (!descending || here.children.empty() || arg == "--") {
      found.rest.insert(found.rest.end(), args.begin() + static_cast<std::ptrdiff_t>(i),
                        args.end());
      break;
    }
    if (arg.starts_with('-') && arg.size() > 1) {
      found.rest.push_back(arg);
      if (takes_next(arg, globals) && i + 1 < args.size()) found.rest.push_back(args[++i]);
      continue;
    }
    if (const Command* child = child_of(here, arg)) {
      found.path.push_back(child);
      continue;
    }
    if (!here.run) found.unknown = arg;
    found.rest.push_back(arg);
    descending = false;
  }
  return found;
}

}  // namespace moth::ctl
