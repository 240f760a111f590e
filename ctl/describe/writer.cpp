#include "ctl/describe/writer.h"

#include <algorithm>
#include <ctime>
#include <vector>

#include "api/machinery/jsonpath.h"
#include "api/machinery/time.h"
#include "ctl/objects/last_applied.h"
#include "ctl/printers/columns.h"

namespace moth::ctl {
namespace {

constexpr std::size_t kMaxAnnotation = 140;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t from = 0; from <= text.size();) {
    auto end = std::min(text.find('\n', from), text.size());
    lines.emplace_back(text.substr(from, end - from));
    from = end + 1;
  }
  return lines;
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  auto start = text.find_first_not_of(" \t\n\r");
  return start == std::string::npos ? "" : text.substr(start);
}

std::string event_time(const Json& event) {
  for (const char* key : {"eventTime", "firstTimestamp"}) {
    if (std::string time = string_or(event, key); !time.empty()) return time;
  }
  return text_at(event, "metadata", "creationTimestamp");
}

}  // namespace

void DescribeWriter::flush() {
  done_ += align_columns(text_, kDescribeRules);
  text_.clear();
}

std::string DescribeWriter::finish() {
  flush();
  return std::move(done_);
}

std::string text_at(const Json& object, std::string_view first, std::string_view second) {
  const Json* part = find_member(object, first);
  return part ? string_or(*part, second) : "";
}

const Json* metadata_member(const Json& object, std::string_view key) {
  return find_path(object, "metadata", key);
}

std::string long_time(std::string_view rfc3339) {
  auto time = parse_rfc3339(rfc3339);
  if (!time) return "";
  std::time_t seconds = std::chrono::system_clock::to_time_t(*time);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char buffer[64];
  std::size_t size = std::strftime(buffer, sizeof buffer, "%a, %d %b %Y %H:%M:%S %z", &local);
  return {buffer, size};
}

std::string age_of(std::string_view rfc3339) {
  return human_age_since(rfc3339, RealClock().wall());
}

std::string scalar_text(const Json& value) {
  return value.is_null() ? "<nil>" : jsonpath_value_text(value);
}

std::string controller_text(const Json& object) {
  const Json* owners = metadata_member(object, "ownerReferences");
  if (!owners || !owners->is_array()) return "";
  for (const Json& owner : *owners) {
    if (bool_or(owner, "controller"))
      return string_or(owner, "kind") + "/" + string_or(owner, "name");
  }
  return "";
}

void write_name(DescribeWriter& out, const Json& object) {
  out.write(0, "Name:\t{}\n", text_at(object, "metadata", "name"));
  if (std::string ns = text_at(object, "metadata", "namespace"); !ns.empty())
    out.write(0, "Namespace:\t{}\n", ns);
}

void write_labels(DescribeWriter& out, std::string_view title, const Json* labels,
                  std::string_view indent) {
  out.write(0, "{}{}:\t", indent, title);
  if (!labels || !labels->is_object() || labels->empty()) {
    out.raw("<none>\n");
    return;
  }
  bool first = true;
  for (const auto& [key, value] : labels->items()) {
    if (!first) out.raw("\t");
    out.write(0, "{}={}\n", key, scalar_text(value));
    first = false;
  }
}

void write_annotations(DescribeWriter& out, std::string_view title, const Json* annotations,
                       std::string_view indent) {
  out.write(0, "{}{}:\t", indent, title);
  bool any = false;
  for (const auto& [key, value] : object_or_empty(annotations).items()) {
    if (key == kLastApplied) continue;
    if (any) out.raw("\t");
    any = true;
    std::string text = scalar_text(value);
    if (text.ends_with('\n')) text.pop_back();
    if (key.size() + text.size() + 2 < kMaxAnnotation && text.find('\n') == std::string::npos) {
      out.write(0, "{}: {}\n", key, text);
      continue;
    }
    out.write(0, "{}:\n", key);
    for (std::string line : lines_of(text)) {
      if (line.size() > kMaxAnnotation - 2) line = line.substr(0, kMaxAnnotation - 2) + "...";
      out.write(0, "\t  {}\n", line);
    }
  }
  if (!any) out.raw("<none>\n");
}

void write_tolerations(DescribeWriter& out, const Json* tolerations, std::string_view indent) {
  out.write(0, "{}Tolerations:\t", indent);
  if (!tolerations || !tolerations->is_array() || tolerations->empty()) {
    out.raw("<none>\n");
    return;
  }
  std::vector<Json> sorted(tolerations->begin(), tolerations->end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const Json& a, const Json& b) {
    return string_or(a, "key") < string_or(b, "key");
  });
  bool first = true;
  for (const Json& toleration : sorted) {
    if (!first) out.raw("\t");
    first = false;
    std::string key = string_or(toleration, "key"), value = string_or(toleration, "value");
    std::string effect = string_or(toleration, "effect");
    std::string text = key;
    if (!value.empty()) text += "=" + value;
    if (!effect.empty()) text += ":" + effect;
    if (string_or(toleration, "operator") == "Exists" && value.empty())
      text += text.empty() ? "op=Exists" : " op=Exists";
    if (toleration.contains("tolerationSeconds"))
      text += fmt::format(" for {}s", int_or(toleration, "tolerationSeconds"));
    out.raw(text + "\n");
  }
}

void write_events(DescribeWriter& out, const Json& events) {
  const Json* items = find_member(events, "items");
  if (!items || !items->is_array() || items->empty()) {
    out.write(0, "Events:\t<none>\n");
    return;
  }
  out.flush();
  std::vector<Json> sorted(items->begin(), items->end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const Json& a, const Json& b) {
    std::string left = string_or(a, "lastTimestamp"), right = string_or(b, "lastTimestamp");
    return (left.empty() ? event_time(a) : left) < (right.empty() ? event_time(b) : right);
  });
  out.raw("Events:\n  Type\tReason\tAge\tFrom\tMessage\n");
  out.write(1, "----\t------\t----\t----\t-------\n");
  for (const Json& event : sorted) {
    std::string age = age_of(event_time(event));
    if (const Json* series = find_member(event, "series"); series && series->is_object()) {
      age = fmt::format("{} (x{} over {})", age_of(string_or(*series, "lastObservedTime")),
                        int_or(*series, "count"), age);
    } else if (int_or(event, "count") > 1) {
      age = fmt::format("{} (x{} over {})", age_of(string_or(event, "lastTimestamp")),
                        int_or(event, "count"), age_of(string_or(event, "firstTimestamp")));
    }
    std::string source = text_at(event, "source", "component");
    if (source.empty()) source = string_or(event, "reportingComponent");
    std::string place = text_at(event, "involvedObject", "fieldPath");
    if (!place.empty()) place += ": ";
    out.write(1, "{}\t{}\t{}\t{}\t{}\n", string_or(event, "type"), string_or(event, "reason"), age,
              source, place + trimmed(string_or(event, "message")));
  }
}

void write_head(DescribeWriter& out, const Json& object) {
  write_name(out, object);
  write_labels(out, "Labels", metadata_member(object, "labels"));
  write_annotations(out, "Annotations", metadata_member(object, "annotations"));
}

void write_time(DescribeWriter& out, std::string_view title, const std::string& rfc3339) {
  if (!rfc3339.empty()) out.write(0, "{}:\t{}\n", title, long_time(rfc3339));
}

std::string pairs_text(const Json* map) {
  std::string text;
  for (const auto& [key, value] : object_or_empty(map).items())
    text += (text.empty() ? "" : ",") + key + "=" + scalar_text(value);
  return text.empty() ? "<none>" : text;
}

std::string joined_text(const Json* list, std::string_view by) {
  std::string text;
  if (!list || !list->is_array()) return text;
  for (const Json& entry : *list)
    text += (text.empty() ? "" : std::string(by)) + scalar_text(entry);
  return text;
}

std::string bracketed_text(const Json* list) {
  return "[" + joined_text(list, " ") + "]";
}

std::string scalar_or(const Json& object, std::string_view key, std::string_view none) {
  const Json* found = find_member(object, key);
  return found && !found->is_null() ? scalar_text(*found) : std::string(none);
}

}  // namespace moth::ctl
