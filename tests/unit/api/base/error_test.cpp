#include "api/base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "api/base/json.h"
#include "api/base/result.h"

namespace moth {
namespace {

TEST(Error, TextsAndCodesAreUpstreams) {
  EXPECT_EQ(Error::not_found("pods", "web").message, "pods \"web\" not found");
  EXPECT_EQ(Error::already_exists("deployments.apps", "web").message,
            "deployments.apps \"web\" already exists");
  EXPECT_EQ(Error::forbidden("pods", "web", "no").message, "pods \"web\" is forbidden: no");
  EXPECT_EQ(Error::forbidden("pods", "", "no").message, "pods is forbidden: no");
  EXPECT_EQ(Error::modified("pods", "web").message,
            "Operation cannot be fulfilled on pods \"web\": the object has been modified; please "
            "apply your changes to the latest version and try again");
  EXPECT_EQ(Error::internal("x").message, "Internal error occurred: x");
  EXPECT_EQ(Error::unauthorized().code(), 401);
  EXPECT_EQ(Error::modified("pods", "web").code(), 409);
  EXPECT_EQ(Error::expired("x").code(), 410);
  EXPECT_EQ(Error::unavailable("x").code(), 503);
  EXPECT_EQ(Error::timeout("x").code(), 504);
  EXPECT_EQ(Error::too_many_requests("x", 3).code(), 429);
}

TEST(Error, StatusOfAGroupedResource) {
  Json expected = {{"kind", "Status"},
                   {"apiVersion", "v1"},
                   {"metadata", Json::object()},
                   {"status", "Failure"},
                   {"message", "deployments.apps \"web\" not found"},
                   {"reason", "NotFound"},
                   {"details", {{"name", "web"}, {"group", "apps"}, {"kind", "deployments"}}},
                   {"code", 404}};
  EXPECT_EQ(Error::not_found("deployments.apps", "web").to_status(), expected);
}

TEST(Error, StatusWithoutDetailsHasNone) {
  EXPECT_FALSE(Error::bad_request("x").to_status().contains("details"));
}

TEST(Error, SurvivesTheWayOverTheWire) {
  Error error = Error::of(Reason::kInvalid, "Pod \"a\" is invalid");
  error.kind = "Pod";
  error.name = "a";
  error.uid = "u";
  error.retry_after_seconds = 7;
  error.causes = {{"FieldValueRequired", "Required value", "spec.containers"}, {"", "m", ""}};
  Error back = Error::from_status(error.to_status());
  EXPECT_EQ(back.reason, Reason::kInvalid);
  EXPECT_EQ(back.message, error.message);
  EXPECT_EQ(back.kind, "Pod");
  EXPECT_EQ(back.uid, "u");
  EXPECT_EQ(back.retry_after_seconds, 7);
  ASSERT_EQ(back.causes.size(), 2u);
  EXPECT_EQ(back.causes[0].field, "spec.containers");
  EXPECT_EQ(back.to_status(), error.to_status());
}

TEST(Error, AForeignStatusIsReadByItsCode) {
  EXPECT_EQ(Error::from_status({{"reason", "Novel"}, {"code", 404}}).reason, Reason::kNotFound);
  EXPECT_EQ(Error::from_status({{"code", 777}}).reason, Reason::kInternalError);
  EXPECT_EQ(Error::from_status(Json::array()).reason, Reason::kInternalError);
  EXPECT_EQ(Error::from_status({{"details", {{"causes", 3}}}}).causes.size(), 0u);
}

TEST(Error, EveryReasonKeepsItsName) {
  for (int i = 0; i <= static_cast<int>(Reason::kTimeout); ++i) {
    Error error = Error::of(static_cast<Reason>(i), "m");
    EXPECT_EQ(Error::from_status(error.to_status()).reason, error.reason) << i;
  }
}

TEST(Error, FromErrno) {
  Error missing = Error::from_errno(ENOENT, "open /x");
  EXPECT_EQ(missing.reason, Reason::kNotFound);
  EXPECT_EQ(missing.os_errno, ENOENT);
  EXPECT_EQ(missing.message, "open /x: No such file or directory");
  EXPECT_EQ(Error::from_errno(EPERM, "x").reason, Reason::kForbidden);
  EXPECT_EQ(Error::from_errno(EIO, "x").reason, Reason::kInternalError);
}

TEST(Error, ContextGoesInFront) {
  Error error = Error::from_errno(ENOENT, "open /x");
  error.with_context("load").with_context("start");
  EXPECT_EQ(error.message, "start: load: open /x: No such file or directory");
  EXPECT_EQ(error.reason, Reason::kNotFound);
}

Result<int> half(int value) {
  if (value % 2) return fail(Error::bad_request("odd"));
  return value / 2;
}
Result<int> quarter(int value) {
  MOTH_ASSIGN(int first, half(value));
  MOTH_ASSIGN(int second, half(first));
  MOTH_TRY(half(0));
  return second;
}

TEST(Result, MacrosPassValuesAndErrors) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().message, "odd");
  EXPECT_EQ(quarter(7).error().message, "odd");
}

TEST(Json, LookupsNeverThrow) {
  Json dom = {{"a", {{"b", {{"c", 3}}}}}, {"s", "x"}, {"t", true}};
  EXPECT_EQ(*find_path(dom, "a", "b", "c"), 3);
  EXPECT_EQ(find_path(dom, "a", "x", "c"), nullptr);
  EXPECT_EQ(find_path(dom, "s", "x"), nullptr);
  EXPECT_EQ(find_member(Json(3), "a"), nullptr);
  EXPECT_EQ(string_or(dom, "s"), "x");
  EXPECT_EQ(string_or(dom, "a", "fallback"), "fallback");
  EXPECT_EQ(int_or(dom, "s", 4), 4);
  EXPECT_EQ(int_or(*find_path(dom, "a", "b"), "c"), 3);
  EXPECT_TRUE(bool_or(dom, "t"));
  EXPECT_TRUE(bool_or(dom, "missing", true));
}

}  // namespace
}  // namespace moth
