#include <fmt/format.h>

#include <chrono>

#include "ctl/cli/terminal.h"
#include "ctl/commands/all.h"
#include "ctl/commands/remote.h"
#include "ctl/objects/pods.h"

namespace moth::ctl {

Outcome<int> run_session(Context& context, const ApiResource& pods, const Session& session) {
  MOTH_ASSIGN(Api * api, context.api());
  RestRequest request;
  request.path = pods.path(session.ns, session.pod, session.subresource);
  for (const std::string& word : session.command) request.query.emplace_back("command", word);
  request.query.emplace_back("container", session.container);
  if (session.stdin_open) request.query.emplace_back("stdin", "true");
  request.query.emplace_back("stdout", "true");
  if (session.tty)
    request.query.emplace_back("tty", "true");
  else
    request.query.emplace_back("stderr", "true");
  ExecOptions options;
  options.stdin_open = session.stdin_open;
  options.tty = session.tty;
  options.out = [&](std::string_view bytes) {
    context.write_out(bytes);
    context.flush();
  };
  options.err = [&](std::string_view bytes) { context.write_err(bytes); };
  MOTH_ASSIGN(client::ExecEnd end, api->exec(std::move(request), std::move(options)));
  if (end.exit_code == 0) return 0;
  if (end.message.starts_with("command terminated with exit code")) {
    context.warn("{}", end.message);
    return end.exit_code;
  }
  return refuse(end.message);
}

Outcome<int> attach_or_show_log(Context& context, const ApiResource& pods, const Session& session) {
  auto code = run_session(context, pods, session);
  if (code) return code;
  context.warn("warning: couldn't attach to pod/{}, falling back to streaming logs: {}",
               session.pod, code.error().error.message);
  MOTH_ASSIGN(Api * api, context.api());
  RestRequest request;
  request.path = pods.path(session.ns, session.pod, "log");
  request.query = {{"container", session.container}, {"follow", "true"}};
  request.accept = "application/json, */*";
  MOTH_ASSIGN(StreamEnd end, api->pieces(std::move(request), [&](std::string_view piece) {
    context.write_out(piece);
    context.flush();
    return true;
  }));
  (void)end;
  return 0;
}

bool usable_tty(Context& context, const Arguments& arguments) {
  if (!arguments.flag("tty")) return false;
  if (stdin_is_terminal() || !arguments.flag("stdin")) return stdin_is_terminal();
  context.warn("Unable to use a TTY - input is not a terminal or the right kind of file");
  return false;
}

Outcome<Json> running_pod(Context& context, const std::string& word, std::string_view what) {
  MOTH_ASSIGN(auto pods, pods_behind(context, word));
  const Json* status = find_member(pods[0], "status");
  std::string phase = status ? string_or(*status, "phase") : "";
  if (phase == "Succeeded" || phase == "Failed") {
    return refuse(
        fmt::format("cannot {} a container in a completed pod; current phase is {}", what, phase));
  }
  return std::move(pods[0]);
}

namespace {

Outcome<int> run_exec_command(Context& context, const Arguments& arguments) {
  std::size_t before = arguments.words_before_dashes.value_or(arguments.words.size());
  std::vector<std::string> command(arguments.words.begin() + static_cast<std::ptrdiff_t>(before),
                                   arguments.words.end());
  if (before == 0 && arguments.texts("filename").empty())
    return refuse("pod, type/name or --filename must be specified");
  if (!arguments.words_before_dashes && arguments.words.size() > 1) {
    return refuse(
        "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] "
        "instead\nSee 'moth exec -h' for help and examples");
  }
  if (before > 1) return refuse(fmt::format("one pod is expected before --, not {}", before));
  if (command.empty()) return refuse("you must specify at least one command for the container");
  MOTH_ASSIGN(Json pod, running_pod(context, arguments.words[0], "exec into"));
  MOTH_ASSIGN(std::string container,
              choose_container(context, pod, arguments.text("container"), arguments.flag("quiet")));
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const ApiResource* pods, api->resource("pods"));
  Session session{"exec",
                  pod_namespace(pod),
                  pod_name(pod),
                  container,
                  std::move(command),
                  arguments.flag("stdin"),
                  usable_tty(context, arguments)};
  return run_session(context, *pods, session);
}

Outcome<int> run_attach(Context& context, const Arguments& arguments) {
  if (arguments.words.size() != 1)
    return refuse("exactly one POD or TYPE/NAME is required for attach");
  MOTH_ASSIGN(Json pod, running_pod(context, arguments.words[0], "attach"));
  MOTH_ASSIGN(std::string container,
              choose_container(context, pod, arguments.text("container"), arguments.flag("quiet")));
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const ApiResource* pods, api->resource("pods"));
  bool tty = usable_tty(context, arguments);
  Session session{
      "attach", pod_namespace(pod), pod_name(pod), container, {}, arguments.flag("stdin"), tty};
  if (tty && session.stdin_open && !arguments.flag("quiet"))
    context.warn("If you don't see a command prompt, try pressing enter.");
  return run_session(context, *pods, session);
}

std::vector<FlagSpec> session_flags() {
  return {{"container", 'c', FlagKind::kText, "", "This container."},
          {"filename", 'f', FlagKind::kList, "", "Not supported: name the pod.", "", true},
          {"pod-running-timeout", 0, FlagKind::kDuration, "1m0s", "Taken for compatibility."},
          {"quiet", 'q', FlagKind::kBool, "", "Only print what the remote session prints."},
          {"stdin", 'i', FlagKind::kBool, "", "Pass stdin to the container."},
          {"tty", 't', FlagKind::kBool, "", "Stdin is a terminal."}};
}

}  // namespace

Command exec_command() {
  return {.name = "exec",
          .group = "Look",
          .summary = "Execute a command in a container",
          .usage = "(POD | TYPE/NAME) [-c CONTAINER] -- COMMAND [args...]",
          .examples =
              "moth exec web-0 -- date\nmoth exec -it deploy/web -- sh\n"
              "tar c . | moth exec -i web-0 -- tar x -C /srv",
          .flags = session_flags(),
          .words = Words::kPods,
          .run = run_exec_command};
}

Command attach_command() {
  return {.name = "attach",
          .group = "Look",
          .summary = "Attach to a running container",
          .usage = "(POD | TYPE/NAME) [-c CONTAINER]",
          .examples = "moth attach web-0\nmoth attach -it shell",
          .flags = session_flags(),
          .words = Words::kPods,
          .run = run_attach};
}

}  // namespace moth::ctl
