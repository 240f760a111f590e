#include <fmt/format.h>

#include <algorithm>

#include "api/machinery/quantity.h"
#include "ctl/commands/all.h"
#include "ctl/objects/pods.h"
#include "ctl/printers/columns.h"

namespace moth::ctl {
namespace {

struct Usage {
  std::string ns, name, container;
  Quantity cpu, memory;
};

std::string cpu_text(const Quantity& cpu) {
  return fmt::format("{}m", cpu.milli_value());
}
std::string memory_text(const Quantity& memory) {
  return fmt::format("{}Mi", memory.value() / (1024 * 1024));
}

Quantity amount(const Json& usage, const char* name) {
  return Quantity::parse_or_zero(string_or(usage, name));
}

Outcome<> need_metrics(Api& api) {
  MOTH_ASSIGN(const client::RestMapper* mapper, api.mapper());
  if (mapper->has_group("metrics.k8s.io")) return {};
  return refuse("Metrics API not available");
}

Outcome<Json> fetch_metrics(Api& api, std::string_view resource, const std::string& ns,
                            const std::string& name, const std::string& selector,
                            const std::string& fields = "") {
  RestRequest request;
  request.path = "/apis/metrics.k8s.io/v1beta1";
  if (!ns.empty()) request.path += "/namespaces/" + ns;
  request.path += "/" + std::string(resource);
  if (!name.empty()) request.path += "/" + name;
  if (!selector.empty()) request.query.emplace_back("labelSelector", selector);
  if (!fields.empty()) request.query.emplace_back("fieldSelector", fields);
  MOTH_ASSIGN(Json answer, api.json(std::move(request)));
  if (answer.contains("items")) return answer["items"];
  return Json::array({std::move(answer)});
}

void sort_usage(std::vector<Usage>& usage, const std::string& by) {
  std::stable_sort(usage.begin(), usage.end(), [&](const Usage& a, const Usage& b) {
    if (by == "cpu") return a.cpu > b.cpu;
    if (by == "memory") return a.memory > b.memory;
    return std::tie(a.ns, a.name) < std::tie(b.ns, b.name);
  });
}

std::vector<Usage> pod_usage(const Json& items, bool by_container) {
  std::vector<Usage> all;
  for (const Json& item : items) {
    Usage pod{
        string_or(item["metadata"], "namespace"), string_or(item["metadata"], "name"), "", {}, {}};
    for (const Json& container : item.value("containers", Json::array())) {
      const Json usage = container.value("usage", Json::object());
      if (by_container) {
        all.push_back({pod.ns, pod.name, string_or(container, "name"), amount(usage, "cpu"),
                       amount(usage, "memory")});
      }
      pod.cpu += amount(usage, "cpu");
      pod.memory += amount(usage, "memory");
    }
    if (!by_container) all.push_back(std::move(pod));
  }
  return all;
}

Outcome<> refuse_swap(const Arguments& arguments) {
  if (!arguments.flag("show-swap")) return {};
  return refuse("--show-swap is not supported: the metrics hold no swap");
}

Outcome<int> run_top_pods(Context& context, const Arguments& arguments) {
  const std::string& by = arguments.text("sort-by");
  if (!by.empty() && by != "cpu" && by != "memory")
    return refuse("--sort-by accepts only cpu or memory");
  MOTH_TRY(refuse_swap(arguments));
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_TRY(need_metrics(*api));
  MOTH_ASSIGN(std::string ns, context.ns());
  bool everywhere = arguments.flag("all-namespaces");
  std::string name = arguments.words.empty() ? "" : arguments.words[0];
  MOTH_ASSIGN(Json items,
              fetch_metrics(*api, "pods", everywhere ? "" : ns, name, arguments.text("selector"),
                            arguments.text("field-selector")));
  bool containers = arguments.flag("containers");
  std::vector<Usage> usage = pod_usage(items, containers);
  if (usage.empty()) {
    if (everywhere)
      context.warn("No resources found");
    else
      context.warn("No resources found in {} namespace.", ns);
    return 0;
  }
  sort_usage(usage, by);
  std::string text;
  if (!arguments.flag("no-headers")) {
    if (everywhere) text += "NAMESPACE\t";
    text += containers ? "POD\tNAME\t" : "NAME\t";
    text += "CPU(cores)\tMEMORY(bytes)\t\n";
  }
  Quantity cpu, memory;
  for (const Usage& one : usage) {
    if (everywhere) text += one.ns + "\t";
    text += one.name + "\t";
    if (containers) text += one.container + "\t";
    text += cpu_text(one.cpu) + "\t" + memory_text(one.memory) + "\t\n";
    cpu += one.cpu;
    memory += one.memory;
  }
  if (arguments.flag("sum")) {
    std::string lead = std::string(everywhere ? "\t" : "") + (containers ? "\t" : "");
    text += lead + "\t________\t________\t\n";
    text += lead + "\t" + cpu_text(cpu) + "\t" + memory_text(memory) + "\t\n";
  }
  context.write_out(align_columns(text, kTableRules));
  return 0;
}

std::string percent_text(const Quantity& part, const std::string& whole_text) {
  Quantity whole = Quantity::parse_or_zero(whole_text);
  if (whole.is_zero()) return "<unknown>";
  return fmt::format("{}%", static_cast<std::int64_t>(part.as_double() / whole.as_double() * 100));
}

Outcome<int> run_top_nodes(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_TRY(need_metrics(*api));
  std::string name = arguments.words.empty() ? "" : arguments.words[0];
  MOTH_ASSIGN(Json items, fetch_metrics(*api, "nodes", "", name, arguments.text("selector")));
  MOTH_ASSIGN(const ApiResource* resource, api->resource("nodes"));
  MOTH_ASSIGN(Json nodes, api->list(*resource, ""));
  std::vector<Usage> usage;
  for (const Json& item : items) {
    const Json used = item.value("usage", Json::object());
    usage.push_back(
        {"", string_or(item["metadata"], "name"), "", amount(used, "cpu"), amount(used, "memory")});
  }
  sort_usage(usage, arguments.text("sort-by"));
  std::string text;
  if (!arguments.flag("no-headers"))
    text += "NAME\tCPU(cores)\tCPU(%)\tMEMORY(bytes)\tMEMORY(%)\t\n";
  for (const Usage& one : usage) {
    std::string cpu, memory;
    for (const Json& node : nodes["items"]) {
      if (string_or(node["metadata"], "name") != one.name) continue;
      const char* member = arguments.flag("show-capacity") ? "capacity" : "allocatable";
      if (const Json* amounts = find_path(node, "status", member)) {
        cpu = string_or(*amounts, "cpu");
        memory = string_or(*amounts, "memory");
      }
    }
    text += fmt::format("{}\t{}\t{}\t{}\t{}\t\n", one.name, cpu_text(one.cpu),
                        percent_text(one.cpu, cpu), memory_text(one.memory),
                        percent_text(one.memory, memory));
  }
  if (usage.empty()) {
    context.warn("No resources found");
    return 0;
  }
  context.write_out(align_columns(text, kTableRules));
  return 0;
}

}  // namespace

Command top_command() {
  FlagSpec no_headers{"no-headers", 0, FlagKind::kBool, "", "Do not print headers."};
  FlagSpec selector{"selector", 'l', FlagKind::kText, "", "With these labels."};
  FlagSpec show_swap{"show-swap", 0, FlagKind::kBool, "", "Not supported."};
  FlagSpec sort_by{"sort-by", 0, FlagKind::kText, "", "cpu or memory."};
  return {
      .name = "top",
      .group = "Look",
      .summary = "Display resource (CPU/memory) usage",
      .children = {
          {.name = "node",
           .aliases = {"nodes", "no"},
           .summary = "Display resource usage of nodes",
           .usage = "[NAME]",
           .flags = {no_headers,
                     selector,
                     {"show-capacity", 0, FlagKind::kBool, "",
                      "Percentages of the capacity, not of what is allocatable."},
                     show_swap,
                     sort_by,
                     {"use-protocol-buffers", 0, FlagKind::kBool, "", "Taken for compatibility."}},
           .words = Words::kNodes,
           .run = run_top_nodes},
          {.name = "pod",
           .aliases = {"pods", "po"},
           .summary = "Display resource usage of pods",
           .usage = "[NAME | -l label]",
           .flags = {{"all-namespaces", 'A', FlagKind::kBool, "", "Of all namespaces."},
                     {"containers", 0, FlagKind::kBool, "", "Of each container."},
                     {"field-selector", 0, FlagKind::kText, "", "Filter by fields."},
                     no_headers,
                     selector,
                     show_swap,
                     sort_by,
                     {"sum", 0, FlagKind::kBool, "", "Print the sum as well."},
                     {"use-protocol-buffers", 0, FlagKind::kBool, "", "Taken for compatibility."}},
           .words = Words::kPods,
           .run = run_top_pods}}};
}

}  // namespace moth::ctl
