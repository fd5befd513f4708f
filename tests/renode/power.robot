*** Settings ***
Documentation       The battery comes loose in the middle of a flash write: what was written before is there.
Resource            shipment.resource
Suite Setup         Run Keywords    Start Shipment    AND    Log Should Hold    clock sync    within=1 min
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends
Test Template       Power Fails In A Flash Write


*** Test Cases ***    PERCENT
Just Begun            2
A Third               33
Two Thirds            66
All But Done          97
Away For Long         50    for_time=2 upload intervals

The Gateway Holds Everything But What Was In Progress
    [Template]    NONE
    Arrive
    Gateway Should Hold Every Sample    but_those_in_progress=True


*** Keywords ***
Power Fails In A Flash Write
    [Arguments]    ${percent}    ${for_time}=3 s
    Let Pass    2 sampling intervals
    Cut Power In A Flash Write    ${percent}    for_time=${for_time}
    Tracker Should Boot Within    20 s    power-on
    Tracker Should Call Within    1 min
    Let Pass    2 sampling intervals
    Log Should Be Whole
