//! What is shipped for CloudFormation, and what AWS is told in documents and policies: judged by moto, cfn-lint and the
//! models of the services. What a stack hands to its instances is run.

use std::fs;
use std::process::Command;

use tests::fleet::{self, Member, Packages, dist, python, shipped};
use tests::process::{command, output, private_dir};

// CloudFormation

/// The AWS CLI, as far as a host calls it for an object; and what tells a stack.
const PROGRAMS: &str = r#"mkdir -p /opt/aws/bin
cat >/usr/bin/aws <<'END'
#!/bin/sh
[ "$1 $2 $3" = 's3 cp --only-show-errors' ] && exec cp "/mnt/release/${4#s3://lab/skewguard/}" "$5"
END
cat >/opt/aws/bin/cfn-signal <<'END'
#!/bin/sh
echo "$*" >>/mnt/signals
END
chmod 755 /usr/bin/aws /opt/aws/bin/cfn-signal"#;

#[test]
fn the_stack_hears_of_each_instance_what_the_gate_has_found() {
    let user_data = fleet::stack(&fleet::path("aws/cloudformation.yaml")).unwrap();
    let host = Member::boot(Packages::Apt);
    host.run(PROGRAMS);
    for file in fs::read_dir(dist().unwrap()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let inside = format!("/mnt/release/{}", path.file_name().unwrap().to_str().unwrap());
            host.container.root().copy_in(&path, &inside).unwrap();
        }
    }
    let run = || {
        host.container.root().write("/mnt/user-data", &user_data).unwrap();
        host.container.run("sh /mnt/user-data").unwrap().code
    };
    assert_eq!(run(), Some(0));
    let process = host.process();
    assert_eq!((run(), host.process()), (Some(0), process));
    host.chrony.set_offset(200.0).unwrap();
    assert_eq!(run(), Some(2));
    let signals = host.run("cat /mnt/signals").stdout;
    let signal = |code| format!("--exit-code {code} --stack fleet --resource Group --region eu-central-1\n");
    assert_eq!(signals, [signal(0), signal(0), signal(2)].concat());
    let written =
        host.run("cat /etc/skewguard/skewguard.yaml && skewguard config check /etc/skewguard/skewguard.yaml").stdout;
    assert!(written.starts_with("telemetry: { otlp: { endpoint: \"http://127.0.0.1:4318\" } }"), "{written}");
}

#[test]
fn cfn_lint_has_nothing_to_say_of_the_templates_and_knows_what_is_misspelt() {
    let text = shipped("aws/cloudformation.yaml").unwrap();
    let misspelt = text.replace("LaunchTemplateData:", "LaunchTemplateDate:");
    let dir = private_dir().unwrap();
    fs::write(dir.path().join("shipped.yaml"), &text).unwrap();
    fs::write(dir.path().join("windows.yaml"), shipped("aws/cloudformation-windows.yaml").unwrap()).unwrap();
    fs::write(dir.path().join("misspelt.yaml"), misspelt).unwrap();
    let mut lint = command("cfn-lint").unwrap();
    let files = ["shipped.yaml", "windows.yaml", "misspelt.yaml"];
    let lint = lint.args(["--format", "parseable", "--"]).args(files).current_dir(dir.path());
    let said = String::from_utf8(lint.output().unwrap().stdout).unwrap();
    assert!(!said.contains("shipped.yaml") && !said.contains("windows.yaml"), "{said}");
    assert!(said.contains("misspelt.yaml") && said.contains("LaunchTemplateDate"), "{said}");
}

// What AWS is told

/// Hands the documents and policies to moto, and the association to the model of the service.
const ACCEPT: &str = r#"
import boto3, json, pathlib, sys
from moto import mock_aws
folder, manifest = pathlib.Path(sys.argv[1]), sys.argv[2]
association = json.load(open(folder / "ssm/association.json"))
with mock_aws():
    ssm = boto3.client("ssm")
    document = (folder / "ssm/command.yaml").read_text()
    ssm.create_document(Content=document, Name="skewguard", DocumentType="Command", DocumentFormat="YAML")
    ssm.create_document(Content=open(manifest).read(), Name="skewguard-package", DocumentType="Package", VersionName="1",
        Attachments=[{"Key": "SourceUrl", "Values": ["s3://lab/skewguard"]}])
    ssm.send_command(DocumentName="skewguard", Targets=association["Targets"], Parameters=association["Parameters"],
        MaxConcurrency=association["MaxConcurrency"], MaxErrors=association["MaxErrors"])
    iam = boto3.client("iam")
    for file in sorted((folder / "iam").glob("*.json")):
        iam.create_policy(PolicyName=file.stem, PolicyDocument=file.read_text())
        print(file.stem, ",".join(sorted(s["Action"] for s in json.load(open(file))["Statement"])))
    try:
        iam.create_policy(PolicyName="wrong", PolicyDocument=(folder / "iam/sns.json").read_text().replace("Effect", "Efect"))
        print("takes anything")
    except iam.exceptions.MalformedPolicyDocumentException:
        pass
from botocore.validate import ParamValidator
model = boto3.client("ssm").meta.service_model.operation_model("CreateAssociation").input_shape
validator = ParamValidator()
print("association", validator.validate(association, model).has_errors())
print("misspelt", validator.validate({**association, "MaxConcurency": "10%"}, model).has_errors())
parameters = __import__("yaml").safe_load(document)["parameters"]
print("unknown", sorted(set(association["Parameters"]) - set(parameters)))
print("rate", association["MaxConcurrency"], association["MaxErrors"])
"#;

#[test]
fn aws_takes_the_documents_the_association_and_policies_of_what_the_agent_calls_and_no_more() {
    let manifest = dist().unwrap().join("ssm-distributor/manifest.json");
    let said = python(ACCEPT, &[&fleet::path("aws"), &manifest]).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "cloudwatch cloudwatch:PutMetricData,logs:PutLogEvents",
            "eventbridge events:PutEvents",
            "parameter ssm:GetParameter",
            "release s3:GetObject",
            "sns sns:Publish",
            "association False",
            "misspelt True",
            "unknown []",
            "rate 10% 1%",
        ]
    );
    // Each is called where it says, and no other service of AWS is.
    let targets = fleet::path("../agent/src/notify/targets");
    let read = |name: &str| fs::read_to_string(targets.join(name)).unwrap();
    assert!(
        read("eventbridge.rs").contains("\"AWSEvents.PutEvents\"")
            && read("eventbridge.rs").contains("name: \"events\"")
    );
    assert!(read("sns.rs").contains("name: \"sns\"") && read("sns.rs").contains("Publish"));
    let signing = fs::read_dir(&targets).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    assert_eq!(signing.filter(|text| text.contains("Service { name:")).count(), 2, "a policy is missing");
    let script = shipped("aws/host.sh").unwrap();
    assert!(script.contains("aws ssm get-parameter") && script.contains("aws s3 cp"));
    assert_eq!(script.matches("aws ssm ").count() + script.matches("aws s3 ").count(), 2, "a policy is missing");
}

#[test]
fn all_files_have_the_same_commands_in_them() {
    output(Command::new(fleet::path("aws/embed")).arg("--check")).unwrap();
}
