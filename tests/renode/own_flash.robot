*** Settings ***
Documentation       The battery comes loose as the chip writes its own flash: the tracker comes back with one profile or the other.
Resource            shipment.resource
Suite Setup         Run Keywords    Start Shipment    AND    Log Should Hold    clock sync    within=1 min
Suite Teardown      Clear Away
Test Setup          A Case Begins
Test Teardown       A Case Ends
Test Template       Power Fails As A Profile Is Replaced
# On the host simulator the volume is a folder: nothing of it can be torn.
Test Tags           emulated


*** Test Cases ***      PERCENT
As It Begins            5
Half Way                50


*** Keywords ***
Power Fails As A Profile Is Replaced
    [Arguments]    ${percent}
    Tracker Should Call Within    2 upload intervals
    Ask The Tracker To    configure    refrigerated_2_8
    Cut Power In A Write Of The Chip's Flash    ${percent}    within=3 upload intervals
    Tracker Should Boot Within    20 s    power-on
    Tracker Should Call Within    1 min
    Log Should Be Whole
