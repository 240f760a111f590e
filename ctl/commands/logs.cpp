#include <fmt/format.h>

#include "api/machinery/time.h"
#include "ctl/commands/all.h"
#include "ctl/objects/pods.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

struct LogSource {
  std::string ns, pod, container;
};

QueryList log_query(const Arguments& arguments, const LogSource& source, bool selected) {
  QueryList query{{"container", source.container}};
  if (arguments.flag("follow")) query.emplace_back("follow", "true");
  if (arguments.flag("previous")) query.emplace_back("previous", "true");
  if (arguments.flag("timestamps")) query.emplace_back("timestamps", "true");
  if (arguments.given("since")) {
    auto seconds = (arguments.duration("since").count() + 999) / 1000;
    query.emplace_back("sinceSeconds", std::to_string(seconds));
  }
  if (arguments.given("since-time")) query.emplace_back("sinceTime", arguments.text("since-time"));
  if (arguments.integer("limit-bytes") > 0)
    query.emplace_back("limitBytes", arguments.text("limit-bytes"));
  // A selector shows the last lines of many unless more is asked for.
  std::int64_t tail = arguments.given("tail") ? arguments.integer("tail") : selected ? 10 : -1;
  if (tail >= 0) query.emplace_back("tailLines", std::to_string(tail));
  return query;
}

Outcome<std::vector<Json>> find_pods(Context& context, const Arguments& arguments) {
  if (!arguments.text("selector").empty()) {
    MOTH_ASSIGN(Api * api, context.api());
    MOTH_ASSIGN(std::string ns, context.ns());
    MOTH_ASSIGN(const ApiResource* pods, api->resource("pods"));
    if (arguments.flag("all-namespaces")) ns.clear();
    MOTH_ASSIGN(Json list, api->list(*pods, ns, {{"labelSelector", arguments.text("selector")}}));
    std::vector<Json> found(list["items"].begin(), list["items"].end());
    if (found.empty()) context.warn("No resources found in {} namespace.", ns);
    return found;
  }
  MOTH_ASSIGN(auto found, pods_behind(context, arguments.words[0]));
  if (found.size() > 1 && !arguments.flag("all-pods")) {
    context.warn("Found {} pods, using pod/{}", found.size(), pod_name(found[0]));
    found.resize(1);
  }
  return found;
}

Outcome<std::vector<LogSource>> find_sources(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(auto pods, find_pods(context, arguments));
  std::string wanted = arguments.text("container");
  if (wanted.empty() && arguments.words.size() > 1) wanted = arguments.words[1];
  std::vector<LogSource> sources;
  for (const Json& pod : pods) {
    if (arguments.flag("all-containers")) {
      for (std::string& name : container_names(pod, true))
        sources.push_back({pod_namespace(pod), pod_name(pod), std::move(name)});
      continue;
    }
    MOTH_ASSIGN(std::string container, choose_container(context, pod, wanted, false));
    sources.push_back({pod_namespace(pod), pod_name(pod), std::move(container)});
  }
  return sources;
}

RestRequest log_request(const ApiResource& pods, const Arguments& arguments,
                        const LogSource& source) {
  RestRequest request;
  request.path = pods.path(source.ns, source.pod, "log");
  request.query = log_query(arguments, source, !arguments.text("selector").empty());
  request.accept = "application/json, */*";
  return request;
}

std::string prefix_of(const Arguments& arguments, const LogSource& source) {
  if (!arguments.flag("prefix")) return "";
  return fmt::format("[pod/{}/{}] ", source.pod, source.container);
}

Outcome<int> run_logs(Context& context, const Arguments& arguments) {
  bool selected = !arguments.text("selector").empty();
  if (arguments.words.empty() && !selected)
    return refuse(
        "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a "
        "required "
        "argument for the logs command\nSee 'moth logs -h' for help and examples");
  if (!arguments.words.empty() && selected)
    return refuse("only a selector (-l) or a POD name is allowed");
  if (arguments.given("since") && arguments.given("since-time"))
    return refuse("at most one of `sinceTime` or `sinceSeconds` may be specified");
  if (arguments.flag("all-containers") && arguments.given("container"))
    return refuse("--all-containers=true should not be specified with container name");
  auto found = find_sources(context, arguments);
  if (!found && found.error().is(Reason::kNotFound)) {
    MOTH_ASSIGN(std::string ns, context.ns());
    return refuse(fmt::format("error from server (NotFound): {} in namespace \"{}\"",
                              found.error().error.message, ns));
  }
  if (!found) return fail(found.error());
  std::vector<LogSource>& sources = *found;
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const ApiResource* pods, api->resource("pods"));
  bool follow = arguments.flag("follow");
  if (sources.size() == 1 && !arguments.flag("prefix")) {
    MOTH_ASSIGN(StreamEnd end,
                api->pieces(log_request(*pods, arguments, sources[0]), [&](std::string_view piece) {
                  context.write_out(piece);
                  if (follow) context.flush();
                  return true;
                }));
    (void)end;
    return 0;
  }
  auto most = static_cast<std::size_t>(arguments.integer("max-log-requests"));
  if (follow && sources.size() > most) {
    return refuse(fmt::format(
        "you are attempting to follow {} log streams, but maximum allowed concurrency is {}, use "
        "--max-log-requests to increase the limit",
        sources.size(), most));
  }
  std::vector<RestRequest> requests;
  for (const LogSource& source : sources) requests.push_back(log_request(*pods, arguments, source));
  auto print = [&](std::size_t index, std::string_view line) {
    context.print("{}{}\n", prefix_of(arguments, sources[index]), line);
    if (follow) context.flush();
  };
  auto failed = [&](std::size_t, const Failure& failure) {
    if (arguments.flag("ignore-errors"))
      context.write_err(context.failure_message(failure));
    else
      context.report(failure);
  };
  if (follow) {
    api->lines_of_all(std::move(requests), print, failed);
    return context.exit_code();
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    auto end = api->lines(requests[i], [&](std::string_view line) {
      print(i, line);
      return true;
    });
    if (!end) failed(i, end.error());
  }
  return context.exit_code();
}

}  // namespace

Command logs_command() {
  return {
      .name = "logs",
      .aliases = {"log"},
      .group = "Look",
      .summary = "Print the logs for a container in a pod",
      .usage = "(POD | TYPE/NAME) [-c CONTAINER]",
      .examples =
          "moth logs web-0\nmoth logs -f deploy/web\nmoth logs web-0 -c sidecar --previous\n"
          "moth logs -l app=web --prefix --tail=20",
      .flags =
          {{"all-containers", 0, FlagKind::kBool, "", "All containers of the pod."},
           {"all-namespaces", 'A', FlagKind::kBool, "", "With -l: pods of all namespaces."},
           {"all-pods", 0, FlagKind::kBool, "", "All pods behind TYPE/NAME."},
           {"container", 'c', FlagKind::kText, "", "This container."},
           {"follow", 'f', FlagKind::kBool, "", "Go on as the log grows."},
           {"ignore-errors", 0, FlagKind::kBool, "", "Errors of one log do not fail the command."},
           {"insecure-skip-tls-verify-backend", 0, FlagKind::kBool, "", "Taken for compatibility."},
           {"limit-bytes", 0, FlagKind::kInteger, "0", "At most this many bytes."},
           {"max-log-requests", 0, FlagKind::kInteger, "5", "Most logs that are followed at once."},
           {"pod-running-timeout", 0, FlagKind::kDuration, "20s", "Taken for compatibility."},
           {"prefix", 0, FlagKind::kBool, "", "Begin each line with its pod and container."},
           {"previous", 'p', FlagKind::kBool, "", "Of the container's previous run."},
           {"selector", 'l', FlagKind::kText, "", "Of the pods with these labels."},
           {"since", 0, FlagKind::kDuration, "0", "Not older than this (5s, 2m, 3h)."},
           {"since-time", 0, FlagKind::kText, "", "Not older than this time (RFC 3339)."},
           {"tail", 0, FlagKind::kInteger, "-1", "The last lines; -1: all (with -l: 10)."},
           {"timestamps", 0, FlagKind::kBool, "", "Begin each line with its time."}},
      .words = Words::kPods,
      .run = run_logs};
}

}  // namespace moth::ctl
