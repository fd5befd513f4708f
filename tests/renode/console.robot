*** Settings ***
Documentation       The tracker answers whoever is at its console; no network needed.
Resource            shipment.resource
Suite Setup         Start On The Bench
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends
Test Template       Asked It Says


*** Test Cases ***    LINE    ANSWER
Help                  help    log export \\[FIRST\\]
Status                status    (?m)^shipment +CASES-1\\n
Status As JSON        status --json    "shipment": "CASES-1"
Log                   log    damaged +none
The Newest Records    log tail 3    (?m)(^ +\\d+ +[a-z-]+ .*\n){3}
Alarms                alarms    rule 1 +good +payload > 8.00 C consecutive
Profile               profile    (?m)^profile +cases_
Version               version    (?m)^firmware +\\d
Configuration         config    (?m)^tracker +SIM-000001
Time                  time    since boot +\\d+ s
Power                 power    battery +\\d+ mV
Nonsense              make coffee    there is no command 'make'


*** Keywords ***
Asked It Says
    [Arguments]    ${line}    ${answer}
    Type At The Console    ${line}
    Console Should Say    ${answer}
