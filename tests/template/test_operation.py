"""The schedule, logs, alarms and the dashboard."""

import json
import re
import unittest

from resolve import ROOT
from stack import FUNCTIONS, Stack

OWN_METRICS = {"VisitsLost", "StatisticsSkipped", "ParkedAge", "FlushFailures", "RedisMemory"}


def written() -> set[str]:
    """Every text in the functions' source that could be a metric's name."""
    files = [*(ROOT / "shared/src").rglob("*.rs"), *(ROOT / "functions").rglob("src/**/*.rs")]
    return {name for file in files for name in re.findall(r'"([A-Z][A-Za-z]+)"', file.read_text())}


class Operation(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = Stack()

    def test_a_flush_starts_each_minute_and_is_not_repeated_late(self) -> None:
        (schedule,) = self.stack.of_type("AWS::Scheduler::Schedule").values()
        self.assertEqual("rate(1 minute)", schedule["ScheduleExpression"])
        self.assertEqual("OFF", schedule["FlexibleTimeWindow"]["Mode"])
        self.assertEqual({"Fn::GetAtt": ["FlushVisits", "Arn"]}, schedule["Target"]["Arn"])
        self.assertNotIn("Name", schedule, "a fixed name keeps a second stack from being deployed")
        (invoke,) = self.stack.of_type("AWS::Lambda::EventInvokeConfig").values()
        self.assertEqual({"Ref": "FlushVisits"}, invoke["FunctionName"])
        self.assertEqual(0, invoke["MaximumRetryAttempts"])

    def test_a_run_that_does_not_start_and_one_that_fails_are_both_kept(self) -> None:
        queue = {"Fn::GetAtt": ["Failures", "Arn"]}
        (schedule,) = self.stack.of_type("AWS::Scheduler::Schedule").values()
        self.assertEqual(queue, schedule["Target"]["DeadLetterConfig"]["Arn"])
        (invoke,) = self.stack.of_type("AWS::Lambda::EventInvokeConfig").values()
        self.assertEqual(queue, invoke["DestinationConfig"]["OnFailure"]["Destination"])
        for role in ("ScheduleRole", "FlushVisitsRole"):
            self.assertIn(
                {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue}, self.stack.statements(role)
            )

    def test_a_flush_ends_before_the_next_one_starts(self) -> None:
        self.assertLess(self.stack.properties("FlushVisits")["Timeout"], 60)

    def test_every_log_is_deleted_in_time_and_is_the_functions_own(self) -> None:
        for group in self.stack.of_type("AWS::Logs::LogGroup").values():
            self.assertEqual("30", group["RetentionInDays"])
        for name in FUNCTIONS:
            logging = self.stack.properties(name)["LoggingConfig"]
            self.assertEqual({"Ref": f"{name}Logs"}, logging["LogGroup"])
            # Metrics are lines of the log at INFO.
            self.assertEqual(("JSON", "INFO"), (logging["LogFormat"], logging["ApplicationLogLevel"]))

    def test_each_alarm_is_of_a_metric_that_somebody_writes(self) -> None:
        self.assertLessEqual(OWN_METRICS, written())
        alarms = (
            Stack(Redis="given", Network="none", RedisEndpoints="a=redis://a")
            .of_type("AWS::CloudWatch::Alarm")
            .values()
        )
        own = {alarm["MetricName"]: alarm for alarm in alarms if alarm.get("Namespace") == "VisitCounter/counter"}
        self.assertEqual(OWN_METRICS, set(own))
        self.assertEqual("VisitCounter/counter", self.stack.environment("RecordVisit")["VISITS_METRICS"])
        self.assertEqual(("Maximum", 300), (own["ParkedAge"]["Statistic"], own["ParkedAge"]["Threshold"]))
        self.assertEqual(("Sum", 0), (own["VisitsLost"]["Statistic"], own["VisitsLost"]["Threshold"]))

    def test_each_metric_of_the_dashboard_is_one_that_somebody_writes(self) -> None:
        body = self.stack.properties("CounterDashboard")["DashboardBody"]["Fn::Sub"]
        widgets = json.loads(body if isinstance(body, str) else body[0])["widgets"]
        shown = {m[1] for w in widgets for m in w["properties"]["metrics"] if m[0] == "VisitCounter/counter"}
        self.assertIn("Visits", shown)
        self.assertLessEqual(shown, written())

    def test_alarms_are_mailed_to_whom_it_is_said(self) -> None:
        for alarm in self.stack.of_type("AWS::CloudWatch::Alarm").values():
            self.assertNotIn("AlarmActions", alarm)
        mailed = Stack(AlarmEmail="owner@example.org")
        self.assertEqual(
            [{"Protocol": "email", "Endpoint": "owner@example.org"}], mailed.properties("AlarmTopic")["Subscription"]
        )
        for alarm in mailed.of_type("AWS::CloudWatch::Alarm").values():
            self.assertEqual([{"Ref": "AlarmTopic"}], alarm["AlarmActions"])

    def test_a_schedule_that_stands_still_is_noticed(self) -> None:
        alarm = self.stack.properties("ScheduleAlarm")
        self.assertEqual(
            ("breaching", "LessThanThreshold", 1),
            (alarm["TreatMissingData"], alarm["ComparisonOperator"], alarm["Threshold"]),
        )
