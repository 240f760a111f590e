#pragma once
// Commands as data: name, flags, help, children and a function. The same table drives parsing, help
// and shell completion. Flags are read as kubectl reads them (pflag's rules), since fingers and
// scripts rely on the details: anywhere on the line, -nfoo, -n=foo, -it, --flag=false, values that
// are optional only with `=`.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/cli/failure.h"

namespace moth::ctl {

class Context;
class Arguments;

enum class FlagKind {
  kBool,   // --x, --x=false
  kText,   // the last one counts
  kTexts,  // may be given several times
  kList,   // as kTexts, and each value is split at commas
  kInteger,
  kDuration,  // 5s, 1m30s; a bare number is seconds
};

struct FlagSpec {
  std::string_view name;
  char letter = 0;
  FlagKind kind = FlagKind::kBool;
  std::string_view initial;  // as text; "" is false, "", 0
  std::string_view help;
  std::string_view bare;  // the value of `--name` without one; empty: a value is required
  bool hidden = false;
};

// What completion offers for the words of a command.
enum class Words {
  kNone,
  kResources,
  kPods,
  kResourceNames,
  kFiles,
  kNodes,
  kContexts,
  kClusters,
  kUsers
};

struct Command {
  std::string_view name;
  std::vector<std::string_view> aliases;
  std::string_view group;    // heading in the overview; only of top-level commands
  std::string_view summary;  // one line
  std::string_view usage;    // after the command's path: "POD [-c CONTAINER] -- COMMAND [args...]"
  std::string_view details;  // paragraphs
  std::string_view examples;
  std::vector<FlagSpec> flags;
  std::vector<Command> children;
  Words words = Words::kNone;
  Outcome<int> (*run)(Context& context, const Arguments& arguments) = nullptr;
  bool hidden = false;
};

// The values of a command line, every one of a declared flag and of its kind (checked by parse).
class Arguments {
 public:
  // Words that are no flags, in order, those behind `--` included.
  std::vector<std::string> words;
  // How many words came before `--`; nothing when there was none.
  std::optional<std::size_t> words_before_dashes;

  bool given(std::string_view flag) const;
  // Declared by the command itself, not one of the flags that all commands take: the same name
  // then means something else.
  bool own(std::string_view flag) const;
  bool flag(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  const std::vector<std::string>& texts(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  std::chrono::milliseconds duration(std::string_view name) const;

 private:
  friend class ArgumentReader;
  struct Value {
    std::vector<std::string> texts;  // the initial value until it is given
    bool given = false;
    bool own = false;
  };
  const Value& value(std::string_view name) const;
  std::map<std::string, Value, std::less<>> values_;
};

// Reads `args` (without the command's own names) by `flags`; later lists add to earlier ones.
// Errors read as kubectl's: "unknown flag: --x", "flag needs an argument: 'o' in -o".
Result<Arguments> parse_arguments(const std::vector<std::string>& args,
                                  const std::vector<const std::vector<FlagSpec>*>& flags);

// Which command a line means: the path from the root, and the words and flags that are left.
struct Found {
  std::vector<const Command*> path;  // root first
  std::vector<std::string> rest;
  std::string unknown;  // a word that is no sub-command of a command without `run`
};
Found find_command(const Command& root, const std::vector<std::string>& args,
                   const std::vector<FlagSpec>& globals);

// Help texts.
std::string flags_text(const std::vector<FlagSpec>& flags);
std::string overview_text(const Command& root);
std::string help_text(const std::vector<const Command*>& path,
                      const std::vector<FlagSpec>& globals);

}  // namespace moth::ctl
