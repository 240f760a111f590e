#include "api/resources/tools/compatibility/page.h"

#include <fmt/format.h>

#include <map>
#include <vector>

namespace moth::resources {
namespace {

constexpr std::string_view kHead =
    R"(<!-- Written by moth_compatibility from the registry and api/resources/compatibility.tsv. Do not edit by hand:
     ninja -C build/dev moth_compatibility && build/dev/bin/moth_compatibility > docs/compatibility.md -->

# Compatibility

Which of Kubernetes' stable kinds moth serves, and what becomes of their objects. A kind that is *served* is decoded,
defaulted and validated as upstream does it, stored, watched, printed and explained. Whether anything *acts* on it is
another matter:

- **yes**: as a cluster would act on it;
- **partly**: what is missing is said beside it;
- **no**: it is kept and served, and nothing follows from it.

`all` verbs are create, delete, deletecollection, get, list, patch, update and watch. Where a kind is served under two
versions or groups, they show the same objects.
)";

struct Note {
  std::string name, state, words;
  bool used = false;
};

struct Notes {
  std::vector<Note> kinds, features;
};

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  for (;;) {
    auto tab = line.find('\t');
    cells.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return cells;
    line.remove_prefix(tab + 1);
  }
}

Result<Notes> parse_notes(std::string_view text) {
  Notes out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    std::vector<std::string_view> cells = cells_of(line);
    auto wrong = [&](std::string_view why) {
      return fail(Error::bad_request(fmt::format("compatibility.tsv:{}: {}", number, why)));
    };
    if (cells.size() != 3 && cells.size() != 4) return wrong("a line has three or four cells");
    Note note{std::string(cells[1]), std::string(cells[2]),
              cells.size() == 4 ? std::string(cells[3]) : ""};
    if (note.state != "yes" && note.state != "partly" && note.state != "no") {
      return wrong("the state is yes, partly or no");
    }
    if (note.state == "partly" && note.words.empty()) return wrong("say what is missing");
    if (cells[0] == "kind") {
      out.kinds.push_back(std::move(note));
    } else if (cells[0] == "feature") {
      out.features.push_back(std::move(note));
    } else {
      return wrong("a line begins with kind or feature");
    }
  }
  return out;
}

std::string joined(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string verbs_of(const ResourceDef& row) {
  return row.verbs == kAllVerbs ? "all" : joined(verb_names(row.verbs));
}

std::string subresources_of(const ResourceDef& row) {
  std::vector<std::string> names;
  for (const Subresource& subresource : row.subresources) names.push_back(subresource.name);
  return joined(names);
}

std::string line_of(const ResourceDef& row, const Note& note) {
  return fmt::format(
      "| {} | {} | {} | {} | {} | {} |\n", row.kind,
      row.short_names.empty() ? row.resource : row.resource + " (" + joined(row.short_names) + ")",
      verbs_of(row), subresources_of(row), note.state, note.words);
}

}  // namespace

Result<std::string> compatibility_page(const Registry& registry, std::string_view text) {
  MOTH_ASSIGN(Notes notes, parse_notes(text));
  std::map<std::string, Note*> by_name;
  for (Note& note : notes.kinds) {
    if (!by_name.emplace(note.name, &note).second) {
      return fail(Error::bad_request("compatibility.tsv: " + note.name + " is there twice"));
    }
  }
  std::string page(kHead);
  page += "\n## Kinds\n";
  std::string section;
  for (const ResourceDef* row : registry.all()) {
    auto note = by_name.find(row->qualified() + "/" + row->version);
    if (note == by_name.end()) {
      return fail(Error::bad_request(fmt::format(
          "api/resources/compatibility.tsv has no line for {}/{}: say whether moth acts on it",
          row->qualified(), row->version)));
    }
    note->second->used = true;
    if (row->api_version() != section) {
      section = row->api_version();
      page += fmt::format(
          "\n### {}\n\n| kind | resource | verbs | subresources | acted upon | |\n"
          "|---|---|---|---|---|---|\n",
          section);
    }
    page += line_of(*row, *note->second);
  }
  for (const Note& note : notes.kinds) {
    if (!note.used) {
      return fail(Error::bad_request("compatibility.tsv: there is no row for " + note.name));
    }
  }
  page += "\n## Features\n\n| feature | works | |\n|---|---|---|\n";
  for (const Note& note : notes.features) {
    page += fmt::format("| {} | {} | {} |\n", note.name, note.state, note.words);
  }
  return page;
}

}  // namespace moth::resources
