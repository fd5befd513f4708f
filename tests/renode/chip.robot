*** Settings ***
Documentation       What the chip refuses its models refuse: registers at MicroPython's own prompt, without the
...                 firmware. Values are those of the product specification v1.7.
Library             tests.renode.chip.Chip
Suite Setup         Put MicroPython On The Bench
Suite Teardown      Clear Away
Test Setup          Let Pass    1
Test Teardown       No Operation
Test Tags           emulated


*** Variables ***
${RENODE}           ${CURDIR}/../../boards/nrf52840dk_bg95/renode


*** Test Cases ***
A Scan Finds What Is There And Nothing Else
    Scan Should Find What Is Fitted

Ticks Go On Where Their Counter Begins Anew
    Write           RTC1.TRIGOVRFLW       1
    Should Answer   time.sleep_ms(20);512000<=time.ticks_ms()<514000    True

No Overflow Is Told To Those Who Have Not Asked
    Write           RTC2.TRIGOVRFLW       1
    Write           RTC2.START            1
    Let Pass        5
    Should Be       RTC2.EVENTS_OVRFLW    0
    Write           RTC2.EVTENSET         2
    Write           RTC2.TRIGOVRFLW       1
    Let Pass        5
    Should Be       RTC2.EVENTS_OVRFLW    1

A Counter That Runs Keeps Its Prescaler
    Write           RTC2.PRESCALER        31
    Should Be       RTC2.PRESCALER        0

Flash Is Written Only Where It Is Allowed
    Write           SCRATCH               0
    Should Be       SCRATCH               0xFFFFFFFF

A Write Clears Bits And Sets None
    Write           NVMC.CONFIG           1
    Write           SCRATCH               0xFFFF0000
    Write           SCRATCH               0x1234ABCD
    Write           NVMC.CONFIG           0
    Should Be       SCRATCH               0x12340000

An Erase Has To Be Allowed And To Begin A Page
    Write           NVMC.ERASEPAGE        0xFF000
    Should Be       SCRATCH               0x12340000
    Write           NVMC.CONFIG           2
    Write           NVMC.ERASEPAGE        0xFF100
    Should Be       SCRATCH               0x12340000
    Write           NVMC.ERASEPAGE        0xFF000
    Write           NVMC.CONFIG           0
    Should Be       SCRATCH               0xFFFFFFFF

A Volume Outlives Power Cuts In Its Writes
    Cut Power While The Volume Is Written    6

The Retained Register Survives A Reset And No Power Cut
    Write           POWER.GPREGRET        0x5A
    Reset
    Should Be       POWER.GPREGRET        0x5A
    Should Answer   machine.reset_cause()==machine.SOFT_RESET    True
    Cut Power
    Should Be       POWER.GPREGRET        0
    Should Answer   machine.reset_cause()    0

The Watchdog Outlives A Reset And Bites
    Write           WDT.CRV               65535
    Write           WDT.START             1
    Write           WDT.CRV               0xFFFFFFFF
    Should Be       WDT.CRV               65535
    Reset
    Should Be       WDT.RUNSTATUS         1
    Should Reset Within    2.5    watchdog
    Should Answer   machine.reset_cause()==machine.WDT_RESET    True
    Should Be       WDT.RUNSTATUS         0

System OFF Ends With The Button
    Write           P1.PIN_CNF[6]         0x20000
    Switch Off
    Press The Button
    Should Reset Within    0.5    system off
    Should Be       P1.LATCH              0x40

System OFF Ends With The Cable
    Write           P1.PIN_CNF[6]         2
    Switch Off
    Plug The Cable In
    Should Reset Within    0.5    vbus
    Should Be       POWER.USBREGSTATUS    3

System OFF Does Not End With The Cable Pulled
    Switch Off
    Pull The Cable
    Should Be Off
    Plug The Cable In
    Should Reset Within    0.5    vbus


*** Keywords ***
Put MicroPython On The Bench
    Setup
    ${bench_port}=    Bench Port
    ${uart_port}=    Free Port
    Execute Command    $image=@${MICROPYTHON_NRF}
    Execute Command    $bench_port=${bench_port}
    Execute Command    $uart_port=${uart_port}
    Execute Command    emulation SetGlobalAdvanceImmediately true
    Execute Command    include @${RENODE}/bench.resc
    Connect    ${uart_port}

Clear Away
    Run Keyword And Ignore Error    Let Go
    Run Keyword And Ignore Error    Reset Emulation
    Close
